import Foundation
import TestSupport
import Testing

@testable import Gateway

/// Each limit on clients, reached: what the client is told, what is counted, and that it passes.
@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct LimitsTests {
    private func refusals(_ site: Deployment, _ reason: String) async -> Double {
        await site.metric("carillon_gateway_refusals_total{reason=\"\(reason)\"}")
    }

    private func connected(_ site: Deployment, _ person: String) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(token(person))
        #expect(peer.read { !$0.replies.isEmpty || $0.closeCode != nil })
        return peer
    }

    @Test func connectionsOfAPerson() async throws {
        let site = try await Deployment(["MAX_CONNECTIONS_PER_PERSON": "2"])
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        let first = try connected(site, "bob")
        let second = try #require(EventPeer(site.port, headers: bearer))
        #expect(second.next()?.contains("connected") == true)
        #expect(try connected(site, "bob").closeCode == 4001)
        let stream = try #require(EventPeer(site.port, headers: bearer))
        #expect(stream.status == 200 && stream.next()?.hasPrefix("retry: ") == true && stream.next() == nil)
        #expect(await site.metric(#"carillon_gateway_disconnects_total{reason="person"}"#) == 2)
        #expect(try connected(site, "ann").closeCode == nil)
        first.socket.close()
        try await until { try connected(site, "bob").closeCode == nil }
        await site.stop()
    }

    @Test func connectionsOfAnAddress() async throws {
        let site = try await Deployment(["MAX_CONNECTIONS_PER_ADDRESS": "3", "TRUSTED_PROXIES": "none"])
        // Whoever is not trusted may write what it likes.
        let held = try (0..<3).map { try #require(WebSocketPeer(site.port, headers: "X-Forwarded-For: 203.0.113.\($0)\r\n")) }
        #expect(held.allSatisfy { $0.status == 101 })
        let refused = try #require(WebSocketPeer(site.port))
        #expect(refused.status == 429 && refused.head.contains("Retry-After: "))
        refused.socket.close()
        let stream = try #require(EventPeer(site.port))
        #expect(stream.status == 200 && stream.next()?.hasPrefix("retry: ") == true && stream.next() == nil)
        stream.socket.close()
        let rest = await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("bob"))"])
        #expect(rest.status == 429 && rest.body.contains("#too_many_connections"))
        #expect(await refusals(site, "address") == 3)
        held[0].socket.close()
        try await until { WebSocketPeer(site.port)?.status == 101 }
        await site.stop()
    }

    @Test func connectionsOfAnAddressBehindAProxy() async throws {
        let site = try await Deployment(["MAX_CONNECTIONS_PER_ADDRESS": "2"])
        func open(_ forwarded: String) throws -> WebSocketPeer {
            try #require(WebSocketPeer(site.port, headers: "X-Forwarded-For: \(forwarded)\r\n"))
        }
        let held = try [open("203.0.113.7"), open("198.51.100.1, 203.0.113.7, 10.0.0.2")]
        #expect(held.allSatisfy { $0.status == 101 })
        #expect(try open("8.8.8.8, 203.0.113.7").status == 429, "what stands before the proxies' own is anybody's")
        let other = try [open("203.0.113.8"), open("2001:db8::1"), open("2001:db8::2")]
        #expect(other.allSatisfy { $0.status == 101 })
        #expect(try open("[2001:db8::3]:4711").status == 429, "one /64")
        // The proxy itself, and what it passes on without a name, has no limit.
        let own = try (0..<4).map { _ in try #require(WebSocketPeer(site.port)) }
        #expect(own.allSatisfy { $0.status == 101 })
        held[1].socket.close()
        try await until { try open("203.0.113.7").status == 101 }
        await site.stop()
    }

    /// Begins a request and sends a byte each 100 ms until it is answered; what was answered.
    private func drip(_ site: Deployment, _ beginning: String, _ bytes: [UInt8]) throws -> String {
        while true {
            let socket = try #require(RawSocket(port: site.port))
            socket.send(beginning)
            let answer = drip(socket, bytes)
            // Nothing of it came in time if this machine stood still meanwhile: closed without a word.
            if !answer.isEmpty { return answer }
        }
    }

    private func drip(_ socket: RawSocket, _ bytes: [UInt8]) -> String {
        let deadline = Date() + 60
        var index = 0
        while Date() < deadline, !socket.isEnded {
            socket.send([bytes[index % bytes.count]])
            index += 1
            if socket.fill(milliseconds: 100) { break }
        }
        return socket.takeAll()
    }

    @Test func aSlowRequestAndASlowConnect() async throws {
        let site = try await Deployment(["HANDSHAKE_TIMEOUT": "1s"])
        let letters = Array(String(repeating: "a", count: 64).utf8)
        let before = await refusals(site, "timeout")
        let head = "GET /v1/inbox HTTP/1.1\r\nHost: x\r\nX-Slow: "
        #expect(try drip(site, head, letters).hasPrefix("HTTP/1.1 408"))
        #expect(try drip(site, "G", Array("ET /".utf8) + letters).hasPrefix("HTTP/1.1 408"))
        let body = "POST /v1/connect HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
        #expect(try drip(site, body, letters).hasPrefix("HTTP/1.1 408"))
        #expect(await refusals(site, "timeout") - before == 3)
        // A frame that never ends, and one that ends in time but is no connect.
        var socket = try #require(WebSocketPeer(site.port))
        while socket.status != 101 { socket = try #require(WebSocketPeer(site.port)) }
        socket.socket.send([0x81, 0xFE, 0x10, 0x00, 0, 0, 0, 0])
        #expect(drip(socket.socket, letters).contains("no connect command in time"))
        #expect(await site.metric(#"carillon_gateway_disconnects_total{reason="no_connect"}"#) == 1)
        await site.stop()
    }

    @Test func idleHTTPConnections() async throws {
        let site = try await Deployment(["IDLE_TIMEOUT": "1s", "HANDSHAKE_TIMEOUT": "1s"])
        let before = await refusals(site, "idle")
        var closed = 0
        var head: String?
        repeat {
            let socket = try #require(RawSocket(port: site.port))
            socket.send("GET /v1/inbox HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(token("bob"))\r\n\r\n")
            head = socket.take(through: "\r\n\r\n")
            _ = socket.takeAll()
            #expect(socket.isEnded)
            closed += 1
            // It came too late if this machine stood still meanwhile.
        } while head == nil
        #expect(head?.contains("200 OK") == true)
        let silent = try #require(RawSocket(port: site.port))
        _ = silent.takeAll()
        #expect(silent.isEnded)
        #expect(await refusals(site, "idle") - before == Double(closed + 1))
        await site.stop()
    }

    @Test func aMessageOverAllItsFragments() async throws {
        let site = try await Deployment(["CLIENT_MESSAGE_MAX_BYTES": "1KB"])
        func fragment(_ first: UInt8, _ count: Int) -> [UInt8] {
            [first, 0x80 | 126, UInt8(count >> 8), UInt8(count & 255), 0, 0, 0, 0] + [UInt8](repeating: 0x20, count: count)
        }
        let peer = try #require(WebSocketPeer(site.port))
        peer.socket.send(fragment(0x01, 400) + fragment(0x00, 400) + fragment(0x00, 400))
        #expect(peer.read { $0.closeCode == 1009 })
        let single = try #require(WebSocketPeer(site.port))
        single.socket.send([0x81, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(single.read { $0.closeCode == 1009 }, "by its announced length alone")
        #expect(await site.metric(#"carillon_gateway_disconnects_total{reason="too_large"}"#) == 2)
        let large = await site.http("POST", "/v1/connect", ["Content-Length": "2000"])
        #expect(large.status == 413)
        await site.stop()
    }

    @Test func operationsOfAConnection() async throws {
        let site = try await Deployment(["OPERATIONS_PER_MINUTE": "20"])
        let bob = try connected(site, "bob")
        bob.send((2..<60).map { #"{"id":\#($0),"rpc":{"method":"x"}}"# }.joined(separator: "\n"))
        #expect(bob.read { $0.closeCode == 3013 } && bob.replies.count < 45)
        let ann = try connected(site, "ann")
        for _ in 0..<60 { ann.frame(9, [1]) }
        #expect(ann.read { $0.closeCode == 3013 })
        #expect(await site.metric(#"carillon_gateway_disconnects_total{reason="operations"}"#) == 2)
        await site.stop()
    }

    @Test func whoeverHasGoneCountsNoMore() async throws {
        let site = try await Deployment([
            "MAX_CONNECTIONS": "6", "MAX_CONNECTIONS_PER_ADDRESS": "6", "MAX_CONNECTIONS_PER_PERSON": "6",
            "TRUSTED_PROXIES": "none", "ADMISSION_RATE": "100000",
        ])
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        // Ends of every kind, many times over what a single lost count would take to fill a limit.
        for round in 0..<10 {
            let peer = try connected(site, "bob")
            #expect(peer.closeCode == nil, "round \(round)")
            if round % 2 == 0 { peer.send("rubbish") }
            if round % 2 == 0 { #expect(peer.read { $0.closeCode == 3501 }) }
            peer.socket.close()
            let stream = try #require(EventPeer(site.port, headers: bearer))
            #expect(stream.next()?.contains("connected") == true, "round \(round)")
            stream.socket.close()
            let poll = try #require(PollPeer(site.port))
            if round % 2 == 0 { poll.ask("?wait=20", bearer) } else { #expect(poll.poll("?wait=0", bearer) != nil) }
            poll.socket.close()
            let forged = try #require(EventPeer(site.port, headers: "Authorization: Bearer x\r\n"))
            #expect(forged.status == 401)
            forged.socket.close()
            let rubbish = try #require(RawSocket(port: site.port))
            rubbish.send("\r\n\r\n\r\n\r\n")
            _ = rubbish.takeAll()
            rubbish.close()
            #expect(await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("bob"))"]).status == 200)
            let silent = try #require(RawSocket(port: site.port))
            silent.close()
            // The last ones' ends may still be on their way.
            try await until {
                let probe = try #require(WebSocketPeer(site.port))
                return probe.status == 101
            }
        }
        let held = (0..<6).map { _ in WebSocketPeer(site.port) }
        try await until { WebSocketPeer(site.port)?.status == 429 || WebSocketPeer(site.port)?.status == 503 }
        #expect(held.contains { $0?.status == 101 })
        await site.stop()
    }

    @Test func newcomersASecond() async throws {
        let site = try await Deployment(["ADMISSION_RATE": "10", "RETRY_DELAY": "100ms"])
        // All of them before any answer is waited for: what comes in the same tenth of a second is too much.
        let streams = try (0..<8).map { _ in try #require(RawSocket(port: site.port)) }
        for stream in streams {
            stream.send("GET /connection/sse HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(token("ann"))\r\n\r\n")
        }
        let greetings = streams.map { stream in
            stream.take(through: "\r\n\r\n").flatMap { _ in stream.take(through: "\n\n") } ?? ""
        }
        #expect(greetings.allSatisfy { $0.hasPrefix("retry: ") })
        let turnedAway = greetings.count { !$0.contains("connected") }
        #expect((1..<8).contains(turnedAway))
        var admitted: [(after: Date, before: Date)] = []
        var refused = 0
        try await until {
            let asked = Date()
            let peer = try #require(WebSocketPeer(site.port))
            if peer.status == 101 { admitted.append((asked, Date())) } else { refused += 1 }
            if peer.status != 101 { #expect(peer.status == 503 && peer.head.contains("Retry-After: ")) }
            return admitted.count == 25
        }
        #expect(refused > 0)
        for (first, tooMany) in zip(admitted, admitted.dropFirst(10)) {
            #expect(tooMany.before.timeIntervalSince(first.after) >= 0.95, "eleven in a second")
        }
        #expect(await refusals(site, "admission") == Double(refused + turnedAway))
        #expect(await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("bob"))"]).status == 200, "no session")
        await site.stop()
    }
}
