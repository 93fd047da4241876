import Store

/// One call of `deliver` for one person, and what follows it. Pure: an event goes in, the next step comes out.
///
/// The notification is appended first, and then routed. If no gateway received it, the call is made once more, for the routes
/// of that moment. If no gateway receives it then, the person counts as one without a route.
struct DeliveryCall {
    enum Step: Equatable {
        /// Make the call (again).
        case deliver
        /// Hand the notifications to the gateways. So many publishes will be answered.
        case publish
        /// The person has no connection. Hand the notifications to the push service, if their policy says so. The call has ended.
        case push
        /// The call has ended.
        case settled
        /// Wait for other answers.
        case wait
        /// The call has failed by its own fault as often as it may. Its records become dead letters. The call has ended.
        case giveUp
    }

    /// Indexes of the batch's notifications, in order.
    var records: [Int] = []
    var deliveries: [Delivery] = []
    /// Bytes of the notifications.
    var size = 0
    /// Their entries in the inbox, as the latest answer says.
    var epoch: UInt64 = 0
    var entries: [Delivered.Entry] = []

    private var unanswered = 0
    private var wasHeard = false
    private var isSecondRound = false
    private(set) var failures = 0

    /// The call was answered. So many gateways hold connections of the person.
    mutating func delivered(epoch: UInt64, entries: [Delivered.Entry], gateways: Int) -> Step {
        self.epoch = epoch
        self.entries = entries
        unanswered = gateways
        return gateways == 0 ? .push : .publish
    }

    /// One of the publishes was answered.
    mutating func published(receivers: Int) -> Step {
        unanswered -= 1
        if receivers > 0 { wasHeard = true }
        if unanswered > 0 { return .wait }
        if wasHeard { return .settled }
        if isSecondRound { return .push }
        isSecondRound = true
        return .deliver
    }

    /// Makes this ready for another call, and keeps the memory of its arrays.
    mutating func clear() {
        records.removeAll(keepingCapacity: true)
        deliveries.removeAll(keepingCapacity: true)
        entries = []
        size = 0
        unanswered = 0
        wasHeard = false
        isSecondRound = false
        failures = 0
    }

    /// The call failed. An outage says nothing about its records, however long it lasts.
    mutating func failed(isOutage: Bool, attempts: Int) -> Step {
        if isOutage { return .deliver }
        failures += 1
        return failures >= attempts ? .giveUp : .deliver
    }
}
