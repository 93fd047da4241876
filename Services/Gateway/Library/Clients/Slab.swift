import Models

/// Clients by index, each index with a generation, so that an old name of a reused place finds nobody. The place of one
/// who left keeps the person until it is taken again: a message for it tells whose route is too many.
struct Slab<Occupant> {
    struct Place {
        var occupant: Occupant?
        var generation: UInt32 = 0
        var person: PersonID?
    }

    private var places: [Place] = []
    /// Free places, the longest free first; `head` is where the next is taken.
    private var free: [UInt32] = []
    private var head = 0
    private(set) var count = 0

    /// Places, taken or not; the bound of a walk over all.
    var extent: UInt32 { UInt32(places.count) }

    /// Takes a place and names it; the occupant is put there by `make`, which gets the name.
    mutating func insert(_ make: (LocalConnection) -> Occupant) -> LocalConnection {
        let index = nextFree()
        let at = Int(index)
        // 0 is never a generation in use, so that an empty place's name means nobody.
        places[at].generation = places[at].generation &+ 1 == 0 ? 1 : places[at].generation &+ 1
        places[at].person = nil
        let name = LocalConnection(index: index, generation: places[at].generation)
        places[at].occupant = make(name)
        count += 1
        return name
    }

    private mutating func nextFree() -> UInt32 {
        guard head < free.count else {
            free.removeAll(keepingCapacity: true)
            head = 0
            places.append(Place())
            return UInt32(places.count - 1)
        }
        defer {
            head += 1
            if head > 1024, head * 2 > free.count {
                free.removeFirst(head)
                head = 0
            }
        }
        return free[head]
    }

    /// Whom the place belongs to, from now on and after its occupant has left.
    mutating func setPerson(_ person: PersonID, of name: LocalConnection) {
        guard holds(name) else { return }
        places[Int(name.index)].person = person
    }

    func holds(_ name: LocalConnection) -> Bool { self[name] != nil }

    /// The occupant of that name; nil if it has left.
    subscript(name: LocalConnection) -> Occupant? {
        guard name.index < extent, places[Int(name.index)].generation == name.generation else { return nil }
        return places[Int(name.index)].occupant
    }

    /// Whoever is at this index now.
    subscript(index: UInt32) -> Occupant? { index < extent ? places[Int(index)].occupant : nil }

    /// The person of one who has left, if nobody has taken the place since; answered once.
    mutating func forget(_ name: LocalConnection) -> PersonID? {
        guard name.index < extent, places[Int(name.index)].generation == name.generation, !holds(name) else { return nil }
        defer { places[Int(name.index)].person = nil }
        return places[Int(name.index)].person
    }

    /// Frees the place; a name that is not held frees nothing.
    mutating func remove(_ name: LocalConnection) {
        guard holds(name) else { return }
        places[Int(name.index)].occupant = nil
        free.append(name.index)
        count -= 1
    }
}
