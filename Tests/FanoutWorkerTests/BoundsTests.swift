import Foundation
import Kafka
import Models
import TestSupport
import Testing

/// Each bound of the work on a batch, set so low that every record meets it: it takes longer, and nothing else changes.
@Suite(.blocking, .serialized) struct BoundsTests {
    @Test(arguments: [
        ["FANOUT_BATCH_RECORDS": "3", "FANOUT_CALLS_IN_FLIGHT": "1"],
        ["FANOUT_BYTES_IN_FLIGHT": "1KB", "FANOUT_CALL_BYTES": "1KB", "FANOUT_GATEWAY_BATCH": "1KB"],
        ["FANOUT_WALKS": "1", "FANOUT_AUDIENCE_PAGE": "2"],
    ])
    func whatPassesABoundWaitsItsTurn(settings: [String: String]) async throws {
        let rig = try await Rig(settings)
        try await rig.addGateway("one")
        let people = (0..<5).map { "p\($0)" }
        for (index, person) in people.enumerated() { try await rig.register(person, at: "one", index: UInt32(index + 1)) }
        for channel in ["a", "b", "c"] { await rig.add(people, to: "channel:\(channel)") }

        let named = (0..<40).map { record($0, for: #"{"user":"p\#($0 % 5)"}"#) }
        await rig.produce("notifications.normal", named.enumerated().map { ("p\($0 % 5)", $1.value) })
        let posts = (40..<52).map { record($0, for: #"{"channel":"\#(["a", "b", "c"][$0 % 3])"}"#) }
        await rig.produce("notifications.normal", posts.enumerated().map { ("key\($0 % 3)", $1.value) })

        let expected = 40 + 5 * 12
        #expect(try await rig.until { $0.heardCount("one") >= expected })
        let heard = try await rig.heard("one")
        #expect(heard.count == expected)
        for (index, person) in people.enumerated() {
            let offsets = heard.filter { $0.recipient.connection.index == UInt32(index + 1) }.compactMap { $0.recipient.position?.offset }
            #expect(offsets == (1...20).map { UInt64($0) })
            #expect(try await rig.inbox(person).count == 20)
        }
        #expect(await rig.metric("carillon_fanout_deliveries_total{outcome=\"fresh\"}") == Double(expected))
        if settings["FANOUT_GATEWAY_BATCH"] != nil { #expect(await rig.metric("carillon_fanout_publishes_total") >= 5) }
        await rig.end()
    }
}
