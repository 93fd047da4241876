/// Slots in the order they came.
struct SlotQueue {
    private var slots: [PersonQueues.Slot] = []
    private var head = 0

    mutating func append(_ slot: PersonQueues.Slot) { slots.append(slot) }

    mutating func next() -> PersonQueues.Slot? {
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
