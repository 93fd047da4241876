import Models
import Store

/// Reads the members of an audience page by page. Each page begins behind the last member of the page before. Pure.
struct AudienceWalk {
    enum Step: Equatable {
        /// Serve these members. After the last page the walk has ended.
        case members([PersonID], isLast: Bool)
        /// Read the same page again.
        case again(StoreError)
        /// The read has failed by its own fault as often as it may.
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
            // A page without a readable member does not say where to go on.
            let isLast = page.isLast || page.members.isEmpty
            last = page.members.last ?? last
            return .members(page.members, isLast: isLast)
        case .failure(let error):
            if !error.isOutage { failures += 1 }
            return failures >= attempts ? .giveUp : .again(error)
        }
    }
}
