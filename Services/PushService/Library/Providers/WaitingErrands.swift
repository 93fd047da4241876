internal import Models

/// Pushes that wait for a courier, those of each priority in the order in which they came. Bounded by the batches that they are of.
struct WaitingErrands {
    private var errands: [Priority: [Errand]] = [:]

    mutating func append(_ errand: Errand) { errands[errand.message.priority, default: []].append(errand) }

    /// Whose first errand is next: by priority, or, while the gate is shut, the one that was tried least, so that the probe is
    /// not always the same one, which may be the only one that fails. What was called off is dropped.
    mutating func next(isOpen: Bool) -> Priority? {
        for priority in Priority.allCases { errands[priority]?.trimPrefix { $0.isCancelled } }
        let priorities = Priority.allCases.filter { errands[$0]?.isEmpty == false }
        if isOpen { return priorities.first }
        return priorities.min { (errands[$0]?.first?.attempt.tries ?? 0) < (errands[$1]?.first?.attempt.tries ?? 0) }
    }

    /// Takes the first of those that `next` named.
    mutating func takeFirst(of priority: Priority) -> Errand? { errands[priority]?.removeFirst() }

    /// Takes all that do not wait for an outage to end.
    mutating func takeThoseThatLeave() -> [Errand] {
        var leaving: [Errand] = []
        for priority in Priority.allCases {
            leaving += errands[priority]?.filter { !$0.waitsHere && !$0.isCancelled } ?? []
            errands[priority]?.removeAll { !$0.waitsHere }
        }
        return leaving
    }
}
