import Models
import Store
import Testing

@testable import Kafka
@testable import PushService

/// A batch and what is on its way for it, held as a lane and the courier hold them.
@Suite struct WorkTests {
    private let work: Work
    private let errand: Errand

    init() throws {
        let work = Work(RecordBatch(number: 1, records: [], membership: nil, pipeline: nil))
        let message = PushMessage(texts: NotificationTexts(id: NotificationID(digest: Array(0..<16)), type: "t"))
        work.items.append(Work.Item(index: 0, message: message, person: try #require(PersonID("ada")), accepted: 0))
        self.work = work
        errand = Errand(message, to: Device(token: "token", platform: "apns", app: "", environment: "sandbox"), of: work) { _ in
            work.items[0].open -= 1
        }
    }

    @Test func aBatchThatIsDoneIsForgotten() throws {
        weak var batch: Work?
        weak var errand: Errand?
        do {
            let bench = try WorkTests()
            (batch, errand) = (bench.work, bench.errand)
            bench.errand.completion(.accepted)
        }
        #expect(errand == nil)
        #expect(batch == nil)
    }

    @Test func aBatchThatIsCalledOffTakesItsErrandsWithIt() {
        #expect(!errand.isCancelled)
        work.cancel()
        #expect(errand.isCancelled)
    }
}
