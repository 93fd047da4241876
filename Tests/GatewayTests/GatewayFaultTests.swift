import EventLoop
import Foundation
import Models
import ServiceRuntime
import Settings
import Store
import TestSupport
import Testing

@testable import Gateway

/// What goes wrong between the gateway, its Redis and its clients: lost batches, lost leases, outages, slow readers.
@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct GatewayFaultTests {
    private func instance(_ site: Deployment) throws -> String { try site.redis.cli("HKEYS", "gateways") }

    private func routes(_ site: Deployment, _ person: String) throws -> [String] {
        try site.redis.cli("HKEYS", "routes:{\(shard(person))}:\(person)").split(separator: "\n").map(String.init)
    }

    private func connected(_ site: Deployment, _ person: String) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(token(person))
        #expect(peer.read { !$0.replies.isEmpty })
        return peer
    }

    @Test func aLostBatchIsNoticedWithoutAnotherAndByTheNext() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        // Numbered, and never heard: as if the message had been dropped on its way.
        try await site.feeder.deliver(["lost"], to: "bob", publishes: false)
        try site.redis.cli("INCR", "gateway:{\(instance(site))}:sequence")
        #expect(bob.readTitles(1) == ["lost"])
        #expect(await site.metric("carillon_gateway_gaps_total") == 1)
        try await site.feeder.deliver(["lost too"], to: "bob", publishes: false)
        try site.redis.cli("INCR", "gateway:{\(instance(site))}:sequence")
        try await site.feeder.deliver(["next"], to: "bob")
        #expect(bob.readTitles(3) == ["lost", "lost too", "next"])
        #expect(await site.metric("carillon_gateway_gaps_total") == 2)
        // A batch that cannot be read may have said anything.
        try await site.feeder.deliver(["unread"], to: "bob", publishes: false)
        try await site.feeder.publish("[nonsense\n{}\n", to: instance(site))
        #expect(bob.readTitles(4).last == "unread")
        await site.stop()
    }

    @Test func aGatewayThatHearsNothingStillShowsEverything() async throws {
        let site = try await Deployment(faults: PublishFaults(lost: 100))
        let bob = try connected(site, "bob")
        for number in 0..<5 {
            try await site.feeder.deliver(["\(number)"], to: "bob")
            #expect(bob.readTitles(number + 1) == (0...number).map { "\($0)" })
        }
        #expect(await site.metric("carillon_gateway_gaps_total") >= 3)
        #expect(await site.metric("carillon_gateway_batches_total") == 0)
        await site.stop()
    }

    @Test func aRestartedRedisThatLacksRoutesGetsThemAgain() async throws {
        let site = try await Deployment(["RECONCILE_WINDOW": "2"])
        let people = (0..<20).map { "person\($0)" }
        let peers = try people.map { try connected(site, $0) }
        let before = try instance(site)
        // As where one had acknowledged what the next never got; the lease is there.
        for person in people { try site.redis.cli("DEL", "routes:{\(shard(person))}:\(person)") }
        site.redis.stop()
        try site.redis.start()
        try await until { try people.allSatisfy { try routes(site, $0).count == 1 } }
        #expect(try instance(site) == before)
        #expect(site.log.count("registering all connections again") == 1)
        for (person, peer) in zip(people, peers) {
            try await site.feeder.deliver(["after"], to: person)
            #expect(peer.readTitles(1) == ["after"] && peer.closeCode == nil)
        }
        await site.stop()
    }

    @Test func aLostLeaseRegistersEverybodyAnew() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        try await site.feeder.deliver(["before"], to: "bob")
        let former = try instance(site)
        try site.redis.cli("HDEL", "gateways", former)
        try await until {
            let now = try instance(site)
            let held = try routes(site, "bob")
            return !now.isEmpty && now != former && held == ["\(now).0.1"]
        }
        try await site.feeder.deliver(["after"], to: "bob")
        #expect(bob.readTitles(2) == ["before", "after"] && bob.closeCode == nil)
        #expect(site.log.count("the lease is gone") == 1)
        // An empty Redis: the history is gone, and the client is told so.
        try site.redis.cli("FLUSHALL")
        #expect(bob.read { $0.closeCode == 3010 })
        let again = try connected(site, "bob")
        try await site.feeder.deliver(["new"], to: "bob")
        #expect(again.readTitles(1) == ["new"])
        await site.stop()
    }

    /// While something else is read for a client, its route cannot be made: one whose making had failed is made afterwards.
    @Test func aRouteThatFailedIsMadeAfterARead() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        let key = "routes:{\(shard("bob"))}:bob"
        let (former, walks) = (try instance(site), await site.metric("carillon_gateway_reconciliations_total"))
        try site.redis.cli("DEL", key)
        try site.redis.cli("SET", key, "no hash")
        try site.redis.cli("HDEL", "gateways", former)
        try await until { await site.metric("carillon_gateway_reconciliations_total") > walks }
        try await until { ![former, ""].contains(try instance(site)) }
        // Its answer comes behind that of the route which could not be made.
        #expect(bob.call("ack", #"{"cursor":"1.1-0"}"#) != nil)
        try site.redis.cli("DEL", key)
        site.redis.suspend()
        bob.send(#"{"id":9,"rpc":{"method":"resume"}}"#)
        // Longer than the second after which what failed is looked at again, and shorter than a command may take.
        try await Task.sleep(for: .seconds(2))
        site.redis.resume()
        #expect(bob.read { $0.replies.last?["id"] as? Int == 9 })
        try await until { try routes(site, "bob").count == 1 }
        try await site.feeder.deliver(["after"], to: "bob")
        #expect(bob.readTitles(1) == ["after"])
        await site.stop()
    }

    @Test(arguments: [true, false]) func anOutageOfRedisKeepsConnections(_ kills: Bool) async throws {
        let site = try await Deployment(["REDIS_COMMAND_TIMEOUT": "2s"])
        let bob = try connected(site, "bob")
        let bearer = "Authorization: Bearer \(token("ann"))\r\n"
        let ann = try #require(EventPeer(site.port, headers: bearer))
        #expect(ann.next()?.contains("connected") == true)
        let leaver = try connected(site, "leaver")
        try await site.feeder.deliver(["before"], to: "bob")
        #expect(bob.readTitles(1) == ["before"])
        if kills { site.redis.stop() } else { site.redis.suspend() }
        try await until { site.log.count("dependency is down") == 1 }
        leaver.socket.close()
        let refused = try #require(WebSocketPeer(site.port))
        #expect(refused.status == 503 && refused.head.contains("Retry-After: "))
        let stream = try #require(EventPeer(site.port, headers: bearer))
        #expect(stream.status == 200 && stream.next()?.hasPrefix("retry: ") == true && stream.next() == nil)
        let rest = await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("bob"))"])
        #expect(rest.status == 503 && rest.head.contains("Retry-After: ") && rest.body.contains("#unavailable"))
        if kills { try site.redis.start() } else { site.redis.resume() }
        try await until { site.log.count("dependency is up again") == 1 }
        try await until { (try? await site.feeder.deliver(["missed"], to: "bob", publishes: false)) != nil }
        try await until { (try? await site.feeder.deliver(["after"], to: "bob")) != nil }
        #expect(bob.readTitles(3) == ["before", "missed", "after"])
        try await site.feeder.deliver(["hers"], to: "ann")
        #expect(ann.next()?.contains("hers") == true)
        try await until { try routes(site, "leaver").isEmpty }
        #expect(site.log.count("dependency is down") == 1 && site.log.count("dependency is up again") == 1)
        await site.stop()
    }

    @Test func aRedisThatCannotWriteIsAway() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        try site.redis.cli("CONFIG", "SET", "maxmemory", "1")
        try await until { site.log.count("dependency is down") == 1 }
        #expect(site.log.count("Redis has reached maxmemory and takes no writes (OOM)") == 1)
        #expect(try #require(WebSocketPeer(site.port)).status == 503)
        let answer = await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("bob"))"])
        #expect(answer.status == 503 && answer.body.contains("Redis takes no writes at present"), "\(answer.body)")
        #expect(await site.metric(#"carillon_gateway_refusals_total{reason="redis_writes"}"#) == 2)
        // Also to who has to connect again.
        try site.redis.cli("CLIENT", "KILL", "TYPE", "normal")
        try await until {
            let answer = await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("bob"))"])
            return answer.status == 503 && answer.body.contains("Redis takes no writes at present")
        }
        try site.redis.cli("CONFIG", "SET", "maxmemory", "0")
        try await until { site.log.count("dependency is up again") == 1 }
        try await site.feeder.deliver(["after"], to: "bob")
        #expect(bob.readTitles(1) == ["after"] && bob.closeCode == nil)
        await site.stop()
    }

    @Test func whoReadsNoAnswersIsClosed() async throws {
        let site = try await Deployment(["SEND_BUFFER_BYTES": "4KB", "OPERATIONS_PER_MINUTE": "1000000"])
        let peer = try #require(WebSocketPeer(site.port, receiveBuffer: 4_096))
        peer.connect(token("bob"))
        #expect(peer.read { !$0.replies.isEmpty })
        let commands = (2..<1_500).map { #"{"id":\#($0),"rpc":{}}"# }.joined(separator: "\n")
        for _ in 0..<40 { peer.send(commands) }
        #expect(peer.read { $0.closeCode != nil } && peer.closeCode == 3008)
        #expect(await site.metric(#"carillon_gateway_disconnects_total{reason="slow"}"#) == 1)
        await site.stop()
    }

    @Test func aConnectionTooManyIsAskedToComeBack() async throws {
        let site = try await Deployment(["MAX_CONNECTIONS": "3"])
        let held = try (0..<3).map { _ in try #require(WebSocketPeer(site.port)) }
        #expect(held.allSatisfy { $0.status == 101 })
        let refused = try #require(WebSocketPeer(site.port))
        #expect(refused.status == 503 && refused.head.contains("Retry-After: "))
        let bearer = "Authorization: Bearer \(token("ann"))\r\n"
        let stream = try #require(EventPeer(site.port, headers: bearer))
        #expect(stream.status == 200 && stream.next()?.hasPrefix("retry: ") == true && stream.next() == nil)
        let rest = await site.http("POST", "/v1/connect", ["Authorization": "Bearer \(token("bob"))"])
        #expect(rest.status == 503 && rest.body.contains("#overloaded"))
        held[0].socket.close()
        try await until { WebSocketPeer(site.port)?.status == 101 }
        await site.stop()
    }

    @Test func aSlowReaderGetsAllOfItFromItsInbox() async throws {
        let site = try await Deployment(["SEND_BUFFER_BYTES": "16KB", "PAGE_ENTRIES": "20"])
        let slow = try #require(WebSocketPeer(site.port, receiveBuffer: 4_096))
        slow.connect(token("bob"))
        #expect(slow.read { !$0.replies.isEmpty })
        let filling = String(repeating: "x", count: 2_000)
        for start in stride(from: 0, to: 900, by: 50) {
            try await site.feeder.deliver((start..<start + 50).map { "\($0) \(filling)" }, to: "bob")
        }
        // The gateway may be behind the feeder.
        try await until { await site.metric("carillon_gateway_catch_ups_total") >= 1 }
        let titles = slow.readTitles(900)
        #expect(titles == (0..<900).map { "\($0) \(filling)" })
        try await site.feeder.deliver(["live"], to: "bob")
        #expect(slow.readTitles(901).last == "live")
        await site.stop()
    }

    /// What waits for it stands before any ping, so it cannot answer one: that it reads is its sign of life.
    @Test func aReaderThatIsSlowAndGoesOnIsNotTakenForSilent() async throws {
        let site = try await Deployment(["PING_INTERVAL": "5s", "PONG_TIMEOUT": "4s", "SOCKET_BUFFER_BYTES": "8KB"])
        let slow = try #require(WebSocketPeer(site.port, receiveBuffer: 4_096))
        slow.answersPings = false
        slow.connect(token("bob"))
        #expect(slow.read { !$0.replies.isEmpty })
        let filling = String(repeating: "x", count: 2_000)
        for start in stride(from: 0, to: 900, by: 50) {
            try await site.feeder.deliver((start..<start + 50).map { "\($0) \(filling)" }, to: "bob")
        }
        // Two of its cycles at least, and more than can be read in that time.
        let began = Date()
        while Date().timeIntervalSince(began) < 12, slow.closeCode == nil {
            let count = slow.titles.count
            // One frame may hold what gathered in several turns of a busy machine.
            #expect(slow.readTitles(count + 1).count > count)
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(slow.closeCode == nil && slow.titles.count < 900)
        #expect(slow.titles == (0..<slow.titles.count).map { "\($0) \(filling)" })
        #expect(await site.metric(#"carillon_gateway_connections{transport="websocket"}"#) == 1)
        await site.stop()
    }

    @Test func whatWaitedTooLongForASocketGoesByTheInbox() async throws {
        let site = try await Deployment([
            "SEND_BUFFER_BYTES": "16MB", "SEND_BUFFER_MESSAGES": "100000", "SEND_BUFFER_TIME": "1s",
            "SOCKET_BUFFER_BYTES": "8KB",
        ])
        let slow = try #require(WebSocketPeer(site.port, receiveBuffer: 4_096))
        slow.connect(token("bob"))
        #expect(slow.read { !$0.replies.isEmpty })
        let filling = String(repeating: "x", count: 2_000)
        let start = ContinuousClock.now
        try await site.feeder.deliver((0..<50).map { "\($0) \(filling)" }, to: "bob")
        let catchUps = await site.metric("carillon_gateway_catch_ups_total")
        // Not for its size; a machine that stands still meanwhile lets it wait too long already.
        if ContinuousClock.now - start < .seconds(1) { #expect(catchUps == 0) }
        var count = 50
        try await until {
            try await site.feeder.deliver(["\(count) \(filling)"], to: "bob")
            count += 1
            return await site.metric("carillon_gateway_catch_ups_total") == 1
        }
        #expect(slow.readTitles(count) == (0..<count).map { "\($0) \(filling)" })
        await site.stop()
    }

    @Test(arguments: [false, true]) func historyThatIsTrimmedWhileAReaderPausesIsLostInWords(_ streams: Bool) async throws {
        let site = try await Deployment(["SEND_BUFFER_BYTES": "8KB", "SOCKET_BUFFER_BYTES": "8KB"])
        let socket = streams ? nil : WebSocketPeer(site.port, receiveBuffer: 4_096)
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        let stream = streams ? EventPeer(site.port, headers: bearer, receiveBuffer: 4_096) : nil
        socket?.connect(token("bob"))
        if let socket { #expect(socket.read { !$0.replies.isEmpty }) }
        #expect(stream?.next()?.contains("connected") ?? true)
        let filling = String(repeating: "x", count: 1_000)
        for start in stride(from: 0, to: 1_200, by: 100) {
            try await site.feeder.deliver((start..<start + 100).map { "\($0) \(filling)" }, to: "bob")
        }
        var read = 0
        if let socket {
            #expect(socket.read { $0.closeCode == 3010 })
            read = socket.titles.count
            #expect(socket.titles == (0..<read).map { "\($0) \(filling)" } && read < 200)
            let again = try #require(WebSocketPeer(site.port))
            again.connect(token("bob"), epoch: try #require(socket.inbox["epoch"] as? String), offset: read)
            #expect(again.read { !$0.replies.isEmpty } && again.inbox["recovered"] as? Bool == false)
        }
        if let stream {
            var cursor = ""
            while let event = stream.next(), event.hasPrefix("id: ") {
                cursor = String(event.dropFirst(4).prefix { $0 != "\n" })
                #expect(event.contains("\"\(read) x"))
                read += 1
            }
            #expect(read < 200)
            let again = try #require(EventPeer(site.port, headers: bearer + "Last-Event-ID: \(cursor)\r\n"))
            #expect(again.next()?.contains(#""recovered":false"#) == true)
        }
        #expect(read > 0)
        await site.stop()
    }

    @Test func aRouteOfAConnectionThatIsNotHeldGoes() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        let route = try #require(try routes(site, "bob").first)
        bob.socket.close()
        try await until { try routes(site, "bob").isEmpty }
        try site.redis.cli("HSET", "routes:{\(shard("bob"))}:bob", route, "x|websocket")
        try await site.feeder.deliver(["nobody hears"], to: "bob")
        try await until { try routes(site, "bob").isEmpty }
        #expect(await site.metric("carillon_gateway_ghost_messages_total") >= 1)
        await site.stop()
    }

    @Test func aDrainTellsEverybodyAndLeavesNothing() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        let mute = try #require(WebSocketPeer(site.port))
        let ann = try #require(EventPeer(site.port, headers: "Authorization: Bearer \(token("ann"))\r\n"))
        #expect(ann.next()?.contains("connected") == true)
        try await site.feeder.deliver(["last"], to: "bob")
        #expect(bob.readTitles(1) == ["last"])
        async let drained = site.host.drain()
        // Reads hold a thread, of which the drain may need one to begin.
        try await until { RawSocket(port: site.port) == nil }
        #expect(bob.read { $0.closeCode == 3001 } && bob.titles == ["last"])
        #expect(mute.read { $0.closeCode == 3001 })
        #expect(ann.next()?.hasPrefix("retry: ") == true && ann.next() == nil)
        for peer in [bob.socket, mute.socket, ann.socket] { peer.close() }
        #expect(await drained)
        #expect(RawSocket(port: site.port) == nil)
        #expect(try site.redis.cli("KEYS", "routes:*") == "" && site.redis.cli("KEYS", "connections:*") == "")
        #expect(try site.redis.cli("KEYS", "gateway*") == "")
        await site.feeder.stop()
        site.host.loop.stop()
    }
}
