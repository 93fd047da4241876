import Foundation
import Models
import TestSupport
import Testing

@testable import Redis
@testable import Store

/// All keys of one call of a script lie in one slot of a Redis Cluster, those that it makes of a prefix too. Read from what a Redis
/// was asked while each script was called.
@Suite(.blocking) struct SlotTests {
    private let bob = PersonID("acme/bob")!
    private let general = ChannelID("general")!
    private let instance = InstanceID(name: "gateway-1", epoch: 1)!

    @Test func aKeysSlotIsOfItsTag() {
        // As `CLUSTER KEYSLOT` answers.
        #expect(Self.slot("foo") == 12182 && Self.slot("inbox:{foo}:bob") == 12182)
        #expect(Self.slot("{}foo") == Self.slot(whole: "{}foo") && Self.slot("a{b") == Self.slot(whole: "a{b"))
        #expect(Self.slot("a{b}{c}") == Self.slot("b"))
        for namespace in ["", "ns:"] {
            #expect(Self.slot("\(namespace){\(namespace)gateways}:looked") == Self.slot("\(namespace)gateways"))
        }
    }

    @Test(arguments: ["", "staging"]) func eachScriptKeepsToOneSlot(_ namespace: String) async throws {
        let server = try RedisServer()
        let monitor = try Monitor(server)
        let store = TestStore(server, namespace: namespace)
        #expect(await store.start() == .up)
        try await callEachScript(of: store, server)
        await store.stop()

        var called: Set<String> = []
        var current: (name: String, slot: Int)?
        for command in try monitor.commands() {
            if command.isOfScript {
                guard let key = command.scriptKey, let current else { continue }
                #expect(Self.slot(key) == current.slot, "\(current.name) touches \(key)")
                continue
            }
            current = nil
            guard let (name, keys) = command.script else { continue }
            called.insert(name)
            let slots = Set(keys.map { Self.slot($0) })
            #expect(slots.count == 1, "\(name): \(keys)")
            current = slots.first.map { (name, $0) }
        }
        #expect(called == Set(StoreScripts.all.map(\.name) + ["confirm"]), "not called, or not known")
    }

    /// One that is new belongs here: otherwise the test says that it was not called.
    private func callEachScript(of store: TestStore, _ server: RedisServer) async throws {
        let connection = ConnectionID(instance: instance, index: 1, generation: 1)
        let count = WatcherCount(watchers: 1, listeners: 1)
        let watcher = Watcher(connection: connection, person: bob, info: [])

        try await store.gateway { $0.enrol(instance, reply: $1) }
        _ = try await store.gateway { $0.renew(instance, reply: $1) }
        _ = try await store.gateway { $0.look(reply: $1) }
        _ = try await store.router { $0.publish([], to: instance, reply: $1) }

        _ = try await store.inbox { $0.open(bob, from: .present, limit: 1, bytes: 1, reply: $1) }
        let epoch = try await store.deliver([delivery(1), delivery(2)], to: bob).epoch
        _ = try await store.deliver([delivery(1)], to: bob)
        _ = try await store.page(of: bob, from: .floor, limit: 10)
        let position = StreamPosition(epoch: epoch, offset: 1)
        _ = try await store.inbox { $0.acknowledge(.upTo(position), of: bob, reply: $1) }
        _ = try await store.inbox { $0.markRead(.ids([notificationID(2)]), of: bob, reply: $1) }
        _ = try await store.inbox { $0.newest(of: bob, after: position, limit: 1, reply: $1) }
        _ = try await store.inbox { $0.audit(of: bob, reply: $1) }

        _ = try await store.register(connection, of: bob)
        try await store.ask { Routes($0, $1).add(connection, of: bob, device: "", transport: .sse, reply: $2) } as Void
        _ = try await store.unregister(connection, of: bob)
        _ = try await store.register(connection, of: bob)
        _ = try await store.sweep(instance, shard: shard(of: bob, shards: 64))

        _ = try await store.channel { $0.append([delivery(1)], to: general, reply: $1) }
        _ = try await store.channel { $0.page(of: general, from: .floor, limit: 1, reply: $1) }
        _ = try await store.channel {
            $0.watch(general, at: instance, [watcher], count: count, from: .present, limit: 1, reply: $1)
        }
        _ = try await store.channel { $0.unwatch(general, at: instance, [connection], count: count, reply: $1) }
        _ = try await store.channel { $0.watch(general, at: instance, [watcher], count: count, reply: $1) }
        _ = try await store.channel { $0.presence(of: general, limit: 9, reply: $1) }
        _ = try await store.channel { $0.sweep(instance, reply: $1) }

        let ticket = Ticket(person: bob, expires: 4_000_000_000)
        try await store.ticket { $0.create("t", ticket, lifetime: .seconds(9), reply: $1) }
        let stored = try #require(try await store.ticket { $0.read("t", reply: $1) })
        _ = try await store.ticket { $0.replace("t", stored, with: ticket, reply: $1) }
        _ = try await store.ask { Revocations($0, $1).revoke(.person(bob, before: 9), lifetime: .seconds(9), reply: $2) }

        let phone = Device(token: "ab", platform: "apns", app: "", environment: "sandbox")
        _ = try await store.device { $0.put(phone, of: bob, limit: 9, reply: $1) }
        // A row of a former version, in another case: it is moved.
        try server.cli("HSET", try server.cli("KEYS", "*devices:*"), "AB", "1|apns|sandbox|")
        _ = try await store.device { $0.targets(of: bob, for: notificationID(1), reply: $1) }
        try await store.device { $0.remember(notificationID(1), sentTo: "ab", of: bob, reply: $1) }
        _ = try await store.device { $0.delete("ab", of: bob, unlessNewerThan: 0, reply: $1) }
        try await store.device { $0.delete("ab", of: bob, reply: $1) }

        _ = try await store.gateway { $0.condemn(instance, ifCountIs: 1, reply: $1) }
        try await store.gateway { $0.withdraw(instance, reply: $1) }
    }

    // MARK: Slots

    /// As a cluster computes it: of what stands between the first `{` and the first `}` behind it, if that is not nothing.
    private static func slot(_ key: String) -> Int {
        guard let open = key.utf8.firstIndex(of: UInt8(ascii: "{")) else { return slot(whole: key) }
        let rest = key[key.utf8.index(after: open)...]
        guard let close = rest.utf8.firstIndex(of: UInt8(ascii: "}")), close != rest.startIndex else { return slot(whole: key) }
        return slot(whole: String(rest[..<close]))
    }

    private static func slot(whole key: String) -> Int { Int(crc16(Array(key.utf8).span)) % 16_384 }
}

/// What a Redis is asked, as `MONITOR` tells it.
private final class Monitor {
    struct Command {
        /// Called by a script, not by a client.
        var isOfScript: Bool
        var arguments: [String]

        /// The key that a script's command is about; nil if it is about none.
        var scriptKey: String? {
            switch arguments[0].uppercased() {
            case "TIME": nil
            case "XINFO": arguments[2]
            default: arguments[1]
            }
        }

        /// Of a call of a script, its name and its keys.
        var script: (name: String, keys: [String])? {
            guard arguments[0].hasPrefix("EVAL"), arguments.count > 3, let count = Int(arguments[2]) else { return nil }
            let keys = Array(arguments[3..<(3 + count)])
            switch arguments[0] {
            case "EVAL": return ("confirm", keys)
            case "EVALSHA": return (Self.names[arguments[1]] ?? arguments[1], keys)
            default: return nil
            }
        }

        private static let names = Dictionary(
            uniqueKeysWithValues: StoreScripts.all.map { ($0.sha, $0.name) })
    }

    private let server: RedisServer
    private let socket: RawSocket

    init(_ server: RedisServer) throws {
        self.server = server
        socket = try #require(RawSocket(port: server.port))
        socket.send("MONITOR\r\n")
        try #require(socket.fill())
    }

    /// All that was asked so far.
    func commands() throws -> [Command] {
        try server.cli("ECHO", "that is all")
        var text = ""
        repeat {
            try #require(socket.fill())
            text = String(decoding: socket.buffer, as: UTF8.self)
        } while !text.contains("that is all")
        return text.split(separator: "\r\n").compactMap { line in
            // `+1700000000.123456 [0 127.0.0.1:4000] "GET" "key"`; in place of the address a script has `lua`.
            guard let end = line.range(of: "] \""), let start = line.range(of: " [0 ") else { return nil }
            let arguments = Self.quoted(line[line.index(before: end.upperBound)...])
            return Command(isOfScript: line[start.upperBound...].hasPrefix("lua]"), arguments: arguments)
        }
    }

    /// What stands in quotation marks; what is escaped there stays so, for no key has any of it.
    private static func quoted(_ line: Substring) -> [String] {
        var parts: [String] = []
        var part: String.UnicodeScalarView?
        var isEscaped = false
        for scalar in line.unicodeScalars {
            if scalar == "\"", !isEscaped {
                if let whole = part { parts.append(String(whole)) }
                part = part == nil ? String.UnicodeScalarView() : nil
                continue
            }
            isEscaped = scalar == "\\" && !isEscaped
            part?.append(scalar)
        }
        return parts
    }
}

extension RedisScript {
    /// By which it is called.
    fileprivate var sha: String {
        var sha = ""
        for byte in digest { sha.unicodeScalars.append(Unicode.Scalar(byte)) }
        return sha
    }
}
