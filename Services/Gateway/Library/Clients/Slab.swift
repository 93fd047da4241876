import Models

/// Clients by index and generation. The generation of a place rises with each client, so that the name of a former client finds
/// nobody. A place that is free keeps the person of its former client until it is taken again. So a message for that client
/// shows whose route has to be removed.
struct Slab<Occupant> {
    struct Place {
        var occupant: Occupant?
        var generation: UInt32 = 0
        var person: PersonID?
    }

    private var places: [Place] = []
    /// Free places, the one that is free for longest first. `head` is the next to be taken.
    private var free: [UInt32] = []
    private var head = 0
    private(set) var count = 0

    /// How many places there are, taken or free: the bound of a walk over all.
    var extent: UInt32 { UInt32(places.count) }

    /// Takes a place and names it. `make` gets the name and makes the occupant.
    mutating func insert(_ make: (LocalConnection) -> Occupant) -> LocalConnection {
        let index = nextFree()
        let at = Int(index)
        // No client has generation 0, so the name of an empty place means nobody.
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

    /// Notes the person of a place. The note stays after the occupant has left.
    mutating func setPerson(_ person: PersonID, of name: LocalConnection) {
        guard holds(name) else { return }
        places[Int(name.index)].person = person
    }

    func holds(_ name: LocalConnection) -> Bool { self[name] != nil }

    /// The occupant with that name; nil if it has left.
    subscript(name: LocalConnection) -> Occupant? {
        guard name.index < extent, places[Int(name.index)].generation == name.generation else { return nil }
        return places[Int(name.index)].occupant
    }

    /// The occupant at this index; nil if the place is free.
    subscript(index: UInt32) -> Occupant? { index < extent ? places[Int(index)].occupant : nil }

    /// The person of an occupant that has left, if nobody has taken its place since. Answers that once.
    mutating func forget(_ name: LocalConnection) -> PersonID? {
        guard name.index < extent, places[Int(name.index)].generation == name.generation, !holds(name) else { return nil }
        defer { places[Int(name.index)].person = nil }
        return places[Int(name.index)].person
    }

    /// Frees the place. The name of a former occupant frees nothing.
    mutating func remove(_ name: LocalConnection) {
        guard holds(name) else { return }
        places[Int(name.index)].occupant = nil
        free.append(name.index)
        count -= 1
    }
}
