import Kafka
import Models
import TestSupport
import Testing

/// Priorities go through lanes of their own.
@Suite(.serialized) struct LaneTests {
    /// A low record that is tried again and again holds its batch for minutes. What is more urgent is delivered meanwhile.
    @Test func nothingWaitsForALowerPrioritysBatch() async throws {
        let rig = try await Rig(["FANOUT_ATTEMPTS": "100"])
        let shard = shard(of: PersonID("gina")!, shards: 64)
        try rig.redis.cli("SET", "t:inbox:{\(shard)}:gina", "no stream")
        await rig.produce("notifications.low", [("gina", record(1, for: #"{"user":"gina"}"#).value)])
        #expect(try await eventually { await rig.metric("carillon_fanout_retries_total") >= 1 })
        for (number, priority) in [Priority.normal, .high].enumerated() {
            let next = record(10 + number, for: #"{"user":"hans"}"#)
            await rig.produce("notifications.\(priority.rawValue)", [("hans", next.value)])
            #expect(try await eventually { try await rig.inbox("hans").last == next.id })
        }
        #expect(try await eventually { await rig.metric("carillon_fanout_records_total{outcome=\"delivered\"}") == 2 })
        // The low batch is still what it was: under way, with nothing delivered and nothing given up.
        #expect(await rig.metric("carillon_fanout_records_total{outcome=\"dead_letter\"}") == 0)
        await rig.end()
    }

    /// One member's inbox holds up a post to a channel. The others' pushes are there long before the batch ends, in portions.
    @Test func pushesLeaveBeforeTheirBatchEnds() async throws {
        let rig = try await Rig(["FANOUT_ATTEMPTS": "100", "FANOUT_OUTPUT_RECORDS": "10"])
        let shard = shard(of: PersonID("gina")!, shards: 64)
        try rig.redis.cli("SET", "t:inbox:{\(shard)}:gina", "no stream")
        let members = (0..<50).map { "m\($0)" }
        await rig.add(members + ["gina"], to: "channel:general")
        await rig.produce("notifications.low", [("room", record(1, for: #"{"channel":"general"}"#).value)])
        let pushes = try await rig.read("push.low", count: 41)
        #expect(pushes.count >= 41)
        #expect(await rig.metric("carillon_fanout_records_total{outcome=\"delivered\"}") == 0)
        // The inbox is mended: the batch ends, and everybody has been pushed once.
        try rig.redis.cli("DEL", "t:inbox:{\(shard)}:gina")
        #expect(try await eventually { await rig.metric("carillon_fanout_records_total{outcome=\"delivered\"}") == 1 })
        let all = try await rig.read("push.low", count: 51)
        #expect(Set(all.compactMap(\.key)).count == 51 && all.count == 51)
        await rig.end()
    }
}
