import Models
import Store

/// The reading of an audience's members, page by page, from the last one on.
struct AudienceWalk {
    enum Step: Equatable {
        /// Serve these; after the last page the walk has ended.
        case members([PersonID], isLast: Bool)
        /// Read the same page again.
        case again(StoreError)
        /// It failed by its own fault as often as it may.
        case giveUp
    }

    let walk: RecordOrder.Walk
    private(set) var last: PersonID?
    private var failures = 0

    init(_ walk: RecordOrder.Walk) { self.walk = walk }

    var audience: String { walk.audience }
    var records: [Int] { walk.records }

    mutating func read(_ result: Result<MemberPage, StoreError>, attempts: Int) -> Step {
        switch result {
        case .success(let page):
            failures = 0
            // A page without one readable member gives no place to go on from.
            let isLast = page.isLast || page.members.isEmpty
            last = page.members.last ?? last
            return .members(page.members, isLast: isLast)
        case .failure(let error):
            if !error.isOutage { failures += 1 }
            return failures >= attempts ? .giveUp : .again(error)
        }
    }
}
