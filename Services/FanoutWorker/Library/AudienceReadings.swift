import Models
import Store

/// The audiences whose members a batch reads: a few at once, in the order of their records' keys. Pure.
struct AudienceReadings {
    private var order = RecordOrder()
    /// Those whose next page is to be read.
    private var waiting: [AudienceReading] = []
    private var underWay = 0
    private let limit: Int
    private let attempts: Int

    /// - Parameters:
    ///   - limit: audiences that are read at once.
    ///   - attempts: how often a page that fails by its own fault is read.
    init(limit: Int, attempts: Int) {
        self.limit = limit
        self.attempts = attempts
    }

    var isEmpty: Bool { order.isEmpty }

    /// A record for named people: true if it may go now, else it comes back from `end`.
    mutating func admit(direct record: Int, key: [UInt8]?) -> Bool { order.admit(direct: record, key: key) }

    /// A record for an audience.
    mutating func admit(_ record: Int, audience: String, key: [UInt8]?) { order.admit(record, audience: audience, key: key) }

    /// Whether a page is to be read.
    mutating func hasNext() -> Bool {
        while underWay < limit, let reading = order.begin() {
            underWay += 1
            waiting.append(reading)
        }
        return !waiting.isEmpty
    }

    /// Those whose next page is to be read now; each comes back in `answered`.
    mutating func takeNext() -> [AudienceReading] {
        defer { waiting = [] }
        return waiting
    }

    /// A page was read, or could not be. A reading that goes on waits for `takeNext`.
    mutating func answered(_ reading: AudienceReading, _ result: Result<MemberPage, StoreError>) -> AudienceReading.Step {
        var reading = reading
        let step = reading.answered(result, attempts: attempts)
        switch step {
        case .members(_, isLast: false), .again: waiting.append(reading)
        case .members(_, isLast: true), .giveUp: break
        }
        return step
    }

    /// All members stand in their lines, or the reading was given up. Answers the records behind it that may go now.
    mutating func end(_ reading: AudienceReading) -> [Int] {
        underWay -= 1
        return order.finished(reading)
    }
}
