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
        // The low batch is still what it was: under way, with nothing delivered and nothing given up.
        #expect(await rig.metric("carillon_fanout_records_total{outcome=\"dead_letter\"}") == 0)
        #expect(await rig.metric("carillon_fanout_records_total{outcome=\"delivered\"}") == 2)
        await rig.end()
    }
}
