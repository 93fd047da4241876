import Models
import Redis
import TestSupport
import Testing

@testable import Store

/// A lease, its instance's numbers and the generation lie in three slots: what a crash leaves between them, and what a former version
/// does that changed all of them in one script.
@Suite(.blocking) struct LeaseTests {
    private let instance = InstanceID(name: "gateway-1", epoch: 1)!

    @Test func whatACrashLeavesIsALeaseThatCanBeSwept() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        // Enrolled by half, or withdrawn by half: the numbers are not there.
        try await store.gateway { $0.enrol(instance, reply: $1) } as Void
        try server.cli("DEL", "gateway:{\(instance)}:sequence")
        #expect(try await store.router { $0.publish([], to: instance, reply: $1) } == Published(sequence: 0, receivers: 0))
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .renewed(count: 1, sequence: 0))
        #expect(try await store.gateway { $0.look(reply: $1) } == [Lease(instance: instance, count: 1)])
        #expect(try await store.gateway { $0.condemn(instance, ifCountIs: 1, reply: $1) })
        try await store.gateway { $0.withdraw(instance, reply: $1) } as Void
        #expect(try server.cli("KEYS", "gateway*") == "")
        await store.stop()
    }

    /// One part that fails fails the renewal, and the next one tells what is so.
    @Test func aRenewalFailsWithAnyOfItsParts() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        try await store.gateway { $0.enrol(instance, reply: $1) } as Void
        for key in ["generation", "gateway:{\(instance)}:sequence"] {
            _ = try await store.gateway { $0.renew(instance, reply: $1) }
            try server.cli("RENAME", key, "kept")
            try server.cli("SADD", key, "of another type")
            await #expect(throws: StoreError.self) { _ = try await store.gateway { $0.renew(instance, reply: $1) } }
            try server.cli("DEL", key)
            try server.cli("RENAME", "kept", key)
        }
        try server.cli("CONFIG", "SET", "maxmemory", "1")
        do {
            _ = try await store.gateway { $0.renew(instance, reply: $1) }
            Issue.record("not refused")
        } catch let error as StoreError {
            if case .refusal = error {} else { Issue.record("\(error)") }
        }
        try server.cli("CONFIG", "SET", "maxmemory", "0")
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .renewed(count: 5, sequence: 0))
        await store.stop()
    }

    /// The scripts of the former version, as it called them, beside ours.
    @Test func aFormerVersionSharesTheLeases() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let sequence = "gateway:{\(instance)}:sequence"
        func enrolsAsBefore() throws {
            try server.cli("EVAL", FormerScripts.enrol, "2", "gateways", sequence, instance.text)
        }
        func renewsAsBefore() throws -> [String] {
            try server.cli("EVAL", FormerScripts.renew, "3", "gateways", sequence, "generation", instance.text, "0", "0", "0")
                .split(separator: "\n").map(String.init)
        }
        // It enrols, and both renew.
        try enrolsAsBefore()
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .renewed(count: 1, sequence: 0))
        #expect(try renewsAsBefore().suffix(2) == ["2", "0"])
        #expect(try await store.router { $0.publish([], to: instance, reply: $1) }.sequence == 1)
        #expect(try renewsAsBefore().suffix(2) == ["3", "1"])
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .renewed(count: 4, sequence: 1))
        #expect(try server.cli("HGET", "generation", "beats") == "4", "each of the renewals is a beat")
        // It condemns, and we find the lease gone; we condemn, and it does.
        #expect(try server.cli("EVAL", FormerScripts.condemn, "2", "gateways", sequence, instance.text, "4") == "1")
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .gone)
        try await store.gateway { $0.enrol(instance, reply: $1) } as Void
        #expect(try renewsAsBefore().suffix(2) == ["1", "0"])
        #expect(try await store.gateway { $0.condemn(instance, ifCountIs: 1, reply: $1) })
        #expect(try renewsAsBefore().count == 4)
        try server.cli("EVAL", FormerScripts.withdraw, "2", "gateways", sequence, instance.text)
        #expect(try await store.gateway { $0.look(reply: $1) }.isEmpty)
        await store.stop()
    }
}

/// Of before decision 0029.
private enum FormerScripts {
    static let enrol = """
        redis.call('HSET', KEYS[1], ARGV[1], 0)
        redis.call('SET', KEYS[2], 0)
        return 1
        """

    static let renew =
        Lua.clock + Lua.generation + """
            local count = redis.call('HGET', KEYS[1], ARGV[1])
            local sequence = tonumber(redis.call('GET', KEYS[2]) or 0)
            local isGone = not count or tonumber(count) < 0
            local reply = confirm(KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]), false, now)
            if isGone then return reply end
            reply[5], reply[6] = redis.call('HINCRBY', KEYS[1], ARGV[1], 1), sequence
            local told, expected = now, tonumber(ARGV[4])
            if expected > 0 and math.abs(told - expected) > 3600000 then now = expected end
            reply[2] = redis.call('HINCRBY', KEYS[3], 'beats', 1)
            redis.call('HSET', KEYS[3], 'at', now)
            return reply
            """

    static let condemn = """
        local count = redis.call('HGET', KEYS[1], ARGV[1])
        if not count or tonumber(count) < 0 then return 1 end
        if count ~= ARGV[2] then return 0 end
        redis.call('HSET', KEYS[1], ARGV[1], -1)
        return 1
        """

    static let withdraw = """
        redis.call('HDEL', KEYS[1], ARGV[1])
        redis.call('DEL', KEYS[2])
        return 1
        """
}
