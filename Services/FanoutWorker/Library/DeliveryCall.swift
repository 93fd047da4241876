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
    }

    /// Indexes of the batch's notifications, in order.
    var records: [Int] = []
    var deliveries: [Delivery] = []
    /// Where they stand in the inbox; of the last time the call was made.
    var epoch: UInt64 = 0
    var entries: [Delivered.Entry] = []

    private var unanswered = 0
    private var wasHeard = false
    private var isSecondRound = false

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
        unanswered = 0
        wasHeard = false
        isSecondRound = false
    }
}
