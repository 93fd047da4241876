import Models

/// What waits for whom: for each person, in order, the records to be delivered, while anything is to be done for her.
///
/// A person is busy from the first `add` until a `settle` that finds nothing more. So at most one call a person is under way,
/// and what came meanwhile goes together in the next one. Places are used again, so that memory follows who is busy.
struct PersonQueues {
    /// A busy person's place.
    typealias Slot = Int

    private struct Place {
        var person: PersonID
        var first: Int32
        var last: Int32
    }

    /// One record in one person's line.
    private struct Item {
        var record: Int32
        var next: Int32
    }

    private static let none: Int32 = -1

    private var slots: [PersonID: Slot] = [:]
    private var places: [Place] = []
    private var freeSlots: [Slot] = []
    private var items: [Item] = []
    private var freeItem = none

    /// How many people are busy.
    var busy: Int { slots.count }

    func person(_ slot: Slot) -> PersonID { places[slot].person }

    /// Puts a record behind what waits for the person. Answers her slot if she was idle: a call is then to be begun for her.
    mutating func add(_ record: Int, for person: PersonID) -> Slot? {
        let item = newItem(record)
        if let slot = slots[person] {
            if places[slot].last == Self.none {
                places[slot].first = item
            } else {
                items[Int(places[slot].last)].next = item
            }
            places[slot].last = item
            return nil
        }
        let place = Place(person: person, first: item, last: item)
        let slot: Slot
        if let free = freeSlots.popLast() {
            slot = free
            places[slot] = place
        } else {
            slot = places.count
            places.append(place)
        }
        slots[person] = slot
        return slot
    }

    /// The record that would be taken next.
    func next(_ slot: Slot) -> Int? {
        let first = places[slot].first
        return first == Self.none ? nil : Int(items[Int(first)].record)
    }

    /// Takes the record at the head of the line.
    mutating func take(_ slot: Slot) -> Int? {
        let first = places[slot].first
        guard first != Self.none else { return nil }
        let item = items[Int(first)]
        places[slot].first = item.next
        if item.next == Self.none { places[slot].last = Self.none }
        items[Int(first)].next = freeItem
        freeItem = first
        return Int(item.record)
    }

    /// A call has ended with all that follows it. True if more waits, and another call is to be begun; else she is idle.
    mutating func settle(_ slot: Slot) -> Bool {
        if places[slot].first != Self.none { return true }
        slots[places[slot].person] = nil
        freeSlots.append(slot)
        return false
    }

    private mutating func newItem(_ record: Int) -> Int32 {
        let item = Item(record: Int32(truncatingIfNeeded: record), next: Self.none)
        guard freeItem != Self.none else {
            items.append(item)
            return Int32(truncatingIfNeeded: items.count - 1)
        }
        let place = freeItem
        freeItem = items[Int(place)].next
        items[Int(place)] = item
        return place
    }
}
