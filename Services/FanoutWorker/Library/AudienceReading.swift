import Lanes
import Models
import Store

/// One reading of an audience's members, page by page, from the last one on, for one or more records.
struct AudienceReading: Equatable {
    enum Step: Equatable {
        /// Serve these; after the last page the reading has ended.
        case members([PersonID], isLast: Bool)
        /// Read the same page again.
        case again(StoreError)
        /// It failed by its own fault as often as it may.
        case giveUp
    }

    /// The key of the records in Kafka.
    let key: [UInt8]
    /// The id of the members' list.
    let audience: String
    /// In order.
    var records: [Int]
    private(set) var last: PersonID?
    private var failures = Attempts()

    init(key: [UInt8], audience: String, records: [Int]) {
        self.key = key
        self.audience = audience
        self.records = records
    }

    /// A page was read, or could not be.
    mutating func answered(_ result: Result<MemberPage, StoreError>, attempts: Int) -> Step {
        switch result {
        case .success(let page):
            failures = Attempts()
            // A page without one readable member gives no place to go on from.
            let isLast = page.isLast || page.members.isEmpty
            last = page.members.last ?? last
            return .members(page.members, isLast: isLast)
        case .failure(let error):
            return failures.failed(isOutage: error.isOutage, limit: attempts) ? .giveUp : .again(error)
        }
    }
}
