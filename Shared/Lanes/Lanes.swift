/// Records of many keys on their way: each key's in order and one call at a time, different keys' beside one another.
///
/// The owner adds records, takes the calls that may begin (`next`), makes them, and tells how each ended: `end`, `again` or
/// `failed`. The engine makes no call and has no clock, so the whole of it can be tested. It promises:
///
/// - The records of one key are taken in the order in which they were added. At most one call of a key is under way.
/// - Nobody waits for another key: whoever has records and no call under way is the sooner taken the longer she waits.
/// - The bounds hold for what is under way. How many records wait is for the owner to bound.
/// - In an outage nothing begins and nothing is given up. A call that fails by its own fault is given up after so many attempts.
/// - Each record ends once: with its call, or given up.
///
/// A record is a number of the owner's, such as its place in a batch. Memory follows how many keys are busy: places are used
/// again. Each step costs the same, however much waits; a record costs no allocation of its own.
public struct Lanes<Key: Hashable> {
    /// Where a busy key stands, from its first record on until it has none. Then the place is another key's.
    public typealias Slot = Int

    /// What becomes of a call that failed.
    public enum Verdict: Equatable {
        /// It is made again, with the same records, once its pause is over.
        case again
        /// It failed by its own fault as often as it may. The call has ended with these records, and what stands behind goes on.
        case givenUp([Int])
    }

    /// One key's records: first those of its call, then those that wait.
    @usableFromInline
    struct Line {
        @usableFromInline var key: Key
        @usableFromInline var first: Int32
        @usableFromInline var last: Int32
        /// The last record of the call; `none` where no call is filled.
        @usableFromInline var lastOfCall: Int32
        /// Of the call's records.
        @usableFromInline var bytes = 0
        @usableFromInline var attempts = Attempts()
        @usableFromInline var isUnderWay = false

        @inlinable
        init(_ key: Key, _ node: Int32) {
            self.key = key
            first = node
            last = node
            lastOfCall = -1
        }
    }

    /// A record in a line.
    @usableFromInline
    struct Node {
        @usableFromInline var record: Int32
        @usableFromInline var bytes: Int32
        @usableFromInline var next: Int32

        @inlinable
        init(record: Int, bytes: Int) {
            self.record = Int32(truncatingIfNeeded: record)
            self.bytes = Int32(clamping: bytes)
            next = -1
        }
    }

    @inlinable static var none: Int32 { -1 }

    public let bounds: LaneBounds
    @usableFromInline var slots: [Key: Slot] = [:]
    @usableFromInline var lines: [Line] = []
    @usableFromInline var freeSlots: [Slot] = []
    @usableFromInline var nodes: [Node] = []
    @usableFromInline var freeNode: Int32 = -1
    /// Lines whose call is to be made, in order.
    @usableFromInline var ready = SlotQueue()
    /// Lines whose call failed, until the pause is over.
    @usableFromInline var resting = SlotQueue()
    @usableFromInline var calls = 0
    @usableFromInline var bytes = 0

    public init(_ bounds: LaneBounds) { self.bounds = bounds }

    /// Keys that have a record.
    @inlinable public var busy: Int { slots.count }

    @inlinable public var isEmpty: Bool { slots.isEmpty }

    /// Whose a busy place is.
    @inlinable
    public func key(_ slot: Slot) -> Key { lines[slot].key }

    /// Calls that were begun and have not ended.
    @inlinable public var callsInFlight: Int { calls }

    /// Bytes of their records.
    @inlinable public var bytesInFlight: Int { bytes }

    // MARK: Records

    /// Puts a record behind what the key has.
    /// - Parameters:
    ///   - record: the owner's number, below 2^31.
    ///   - bytes: what it counts for in the bounds.
    /// - Returns: the key's place. It is the number of places in use so far, or one of them.
    @inlinable
    @discardableResult
    public mutating func add(_ record: Int, bytes: Int = 0, for key: Key) -> Slot {
        let node = newNode(Node(record: record, bytes: bytes))
        if let slot = slots[key] {
            nodes[Int(lines[slot].last)].next = node
            lines[slot].last = node
            return slot
        }
        let slot: Slot
        if let free = freeSlots.popLast() {
            slot = free
            lines[slot] = Line(key, node)
        } else {
            slot = lines.count
            lines.append(Line(key, node))
        }
        slots[key] = slot
        ready.append(slot)
        return slot
    }

    /// The records of the call that `next` gave for this place, in order.
    @inlinable
    public func forEachRecord(of slot: Slot, _ body: (Int) -> Void) {
        var node = lines[slot].first
        let last = lines[slot].lastOfCall
        guard last != Self.none else { return }
        while true {
            body(Int(nodes[Int(node)].record))
            if node == last { return }
            node = nodes[Int(node)].next
        }
    }

    /// The first of them; the only one where a call takes one.
    @inlinable
    public func firstRecord(of slot: Slot) -> Int { Int(nodes[Int(lines[slot].first)].record) }

    // MARK: Calls

    /// The next call that may begin now; it is then under way. Nil if there is none, if the bounds are reached, or in an outage.
    ///
    /// A call takes what waits for its key, as far as one call goes. One that is made again has the records that it had.
    /// - Parameter most: calls under way at once, where that is fewer than the bounds say.
    @inlinable
    public mutating func next(_ hold: Hold, most: Int = .max) -> Slot? {
        if hold.state == .open {
            while let slot = resting.next() { ready.append(slot) }
        }
        guard hold.state != .outage, calls < min(most, bounds.calls), bytes < bounds.bytes, let slot = ready.next() else {
            return nil
        }
        if lines[slot].lastOfCall == Self.none { fill(slot) }
        lines[slot].isUnderWay = true
        calls += 1
        bytes += lines[slot].bytes
        return slot
    }

    /// The call has ended: its records have passed, or what remains of them is parked elsewhere. What came meanwhile is ready.
    @inlinable
    public mutating func end(_ slot: Slot) {
        leaveFlight(slot)
        settle(slot)
    }

    /// The call is to be made once more, for no fault: behind all that is ready.
    @inlinable
    public mutating func again(_ slot: Slot) {
        leaveFlight(slot)
        ready.append(slot)
    }

    /// The call failed. An outage says nothing about its records, however long it lasts. The owner tells the hold as well.
    @inlinable
    public mutating func failed(_ slot: Slot, isOutage: Bool) -> Verdict {
        leaveFlight(slot)
        guard lines[slot].attempts.failed(isOutage: isOutage, limit: bounds.attempts) else {
            resting.append(slot)
            return .again
        }
        var records: [Int] = []
        forEachRecord(of: slot) { records.append($0) }
        settle(slot)
        return .givenUp(records)
    }

    @inlinable
    mutating func fill(_ slot: Slot) {
        var last = lines[slot].first
        var bytes = Int(nodes[Int(last)].bytes)
        var count = 1
        while count < bounds.callRecords {
            let next = nodes[Int(last)].next
            guard next != Self.none, bytes + Int(nodes[Int(next)].bytes) <= bounds.callBytes else { break }
            bytes += Int(nodes[Int(next)].bytes)
            last = next
            count += 1
        }
        lines[slot].lastOfCall = last
        lines[slot].bytes = bytes
    }

    @inlinable
    mutating func leaveFlight(_ slot: Slot) {
        assert(lines[slot].isUnderWay, "a call ends once")
        lines[slot].isUnderWay = false
        calls -= 1
        bytes -= lines[slot].bytes
    }

    /// Forgets the call's records. The key goes on with what waits, or is idle.
    @inlinable
    mutating func settle(_ slot: Slot) {
        let last = Int(lines[slot].lastOfCall)
        let rest = nodes[last].next
        nodes[last].next = freeNode
        freeNode = lines[slot].first
        if rest == Self.none {
            slots[lines[slot].key] = nil
            return freeSlots.append(slot)
        }
        lines[slot].first = rest
        lines[slot].lastOfCall = Self.none
        lines[slot].attempts = Attempts()
        ready.append(slot)
    }

    @inlinable
    mutating func newNode(_ node: Node) -> Int32 {
        guard freeNode != Self.none else {
            nodes.append(node)
            return Int32(truncatingIfNeeded: nodes.count - 1)
        }
        let place = freeNode
        freeNode = nodes[Int(place)].next
        nodes[Int(place)] = node
        return place
    }
}
