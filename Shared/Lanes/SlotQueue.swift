/// Places in the order in which they came. What was taken is let go in long runs, so that each costs the same.
@usableFromInline
struct SlotQueue {
    @usableFromInline var slots: [Int] = []
    @usableFromInline var head = 0

    @inlinable init() {}

    @inlinable
    mutating func append(_ slot: Int) { slots.append(slot) }

    @inlinable
    mutating func next() -> Int? {
        guard head < slots.count else { return nil }
        let slot = slots[head]
        head += 1
        if head == slots.count {
            slots.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 4_096 {
            slots.removeFirst(head)
            head = 0
        }
        return slot
    }
}
