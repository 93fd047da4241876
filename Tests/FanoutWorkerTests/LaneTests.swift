import Foundation
import Kafka
import Models
import TestSupport
import Testing

/// Priorities go through lanes of their own.
@Suite(.blocking, .serialized) struct LaneTests {
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
        #expect(try await eventually { await rig.metric("carillon_fanout_records_total{outcome=\"delivered\"}") >= 2 })
        // The low batch is still what it was: under way, with nothing delivered and nothing given up.
        #expect(await rig.metric("carillon_fanout_records_total{outcome=\"dead_letter\"}") == 0)
        await rig.end()
    }

    /// High priority waits in Redis behind all that is under way: beside it, a campaign has few calls there.
    @Test func besideHighPriorityTheOthersHaveFewCallsUnderWay() async throws {
        // A Redis that stands still shows what is under way. However busy the machine is, no call is given up meanwhile.
        let rig = try await Rig(["FANOUT_CALLS_BESIDE_HIGH": "5", "REDIS_COMMAND_TIMEOUT": "60s"])
        func underWay() async -> Double { await rig.metric("carillon_fanout_commands_in_flight") }
        func campaign(_ first: Int) async {
            let people = (0..<600).map { "\"p\(first + $0)\"" }.joined(separator: ",")
            await rig.produce("notifications.low", [("offer", record(first, for: #"{"users":[\#(people)]}"#).value)])
        }
        // By itself it has as many as there are people.
        try rig.redis.cli("CLIENT", "PAUSE", "50000", "WRITE")
        await campaign(10_000)
        #expect(try await eventually { await underWay() > 100 })
        try rig.redis.cli("CLIENT", "UNPAUSE")
        #expect(try await eventually { await rig.metric("carillon_fanout_records_total{outcome=\"delivered\"}") >= 1 })
        try rig.redis.cli("CLIENT", "PAUSE", "50000", "WRITE")
        await rig.produce("notifications.high", [("hans", record(1, for: #"{"user":"hans"}"#).value)])
        #expect(try await eventually { await underWay() >= 1 })
        await campaign(20_000)
        #expect(try await eventually { await underWay() >= 6 })
        // What is under way stays so few: more would come with the next turns.
        for _ in 0..<20 { #expect(await underWay() < 20) }
        try rig.redis.cli("CLIENT", "UNPAUSE")
        // Nothing is held back for that: all of it is delivered, and once, though a batch that the group takes back is done again.
        #expect(try await eventually { await rig.metric("carillon_fanout_records_total{outcome=\"delivered\"}") >= 3 })
        for person in ["hans", "p10000", "p10599", "p20000", "p20599"] {
            #expect(try await eventually { try await rig.inbox(person).count == 1 }, "\(person)")
        }
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
        #expect(try await eventually { await rig.metric("carillon_fanout_records_total{outcome=\"delivered\"}") >= 1 })
        let all = try await rig.read("push.low", count: 51)
        #expect(Set(all.compactMap(\.key)).count == 51 && all.count == 51)
        await rig.end()
    }
}
