import EventLoop
import Foundation
import Models
import ServiceRuntime
import Store
import TestSupport
import Testing
import Tokens

@testable import Gateway

private let key = "0123456789abcdef"
private var now: Int64 { EventLoop.wallClock() / 1000 }

private func named(_ person: String, _ id: String?, issued: Int64? = nil) -> String {
    mintHS256(TokenClaims(subject: person, expires: now + 600, issuedAt: issued ?? now, id: id), secret: secret)
}

private func bearer(_ token: String) -> String { "Authorization: Bearer \(token)\r\n" }

extension Deployment {
    fileprivate func post(_ body: String, key: String = key, path: String = "/v1/revocations", headers: String = "") -> Answer {
        guard let socket = RawSocket(port: port) else { return Answer(status: 0, head: "", body: "") }
        socket.send(
            "POST \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: \(key)\r\n\(headers)"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        let all = socket.takeAll()
        let parts = all.range(of: "\r\n\r\n").map { (String(all[..<$0.lowerBound]), String(all[$0.upperBound...])) }
        return Answer(
            status: Int(all.split(separator: " ").dropFirst().first ?? "") ?? 0, head: parts?.0 ?? "", body: parts?.1 ?? "")
    }

    fileprivate func connected(_ token: String) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(port))
        peer.connect(token)
        #expect(peer.read { !$0.replies.isEmpty })
        return peer
    }
}

/// As a key names a token.
private func digits(_ id: String) -> String {
    let digits = String(tokenIDHash(id), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

@Suite(.blocking, .serialized) struct RevocationTests {
    @Test func aTokenIsClosedOnEveryGateway() async throws {
        let first = try await Deployment(["API_KEY": key])
        let second = try await Deployment(["API_KEY": key, "INSTANCE_ID": "gateway-2"], redis: first.redis)
        let lost = named("bob", "one")
        let (here, there) = (try first.connected(lost), try second.connected(lost))
        let other = try second.connected(named("bob", "two"))
        let nameless = try first.connected(named("bob", nil))
        let stream = try #require(EventPeer(second.port, headers: bearer(lost)))
        #expect(stream.next()?.contains("connected") == true)
        let ticket = first.post("", path: "/v1/connect", headers: bearer(lost)).json["ticket"] as? String ?? ""

        let watch = Standstill()
        let answer = first.post(#"{"jti":"one"}"#)
        #expect(answer.status == 200 && answer.json["gateways"] as? Int == 2 && answer.json["heard"] as? Int == 2)
        for peer in [here, there] {
            #expect(peer.read { $0.closeCode == 3500 })
            #expect(peer.closeReason == "the token has been revoked")
        }
        #expect(stream.next()?.hasPrefix("retry: ") == true && stream.next() == nil)
        #expect(watch.end() < 1)

        // Whoever comes back with it is told why.
        let again = try #require(WebSocketPeer(second.port))
        again.connect(lost)
        #expect(again.read { $0.closeCode == 3500 } && again.closeReason == "the token has been revoked")
        for path in ["/connection/sse", "/connection/poll", "/v1/inbox", "/connection/sse?ticket=\(ticket)"] {
            let headers = path.contains("ticket") ? [:] : ["Authorization": "Bearer \(lost)"]
            let refused = await first.http("GET", path, headers)
            #expect(refused.status == 401 && refused.body.contains("#token_revoked"), "\(path): \(refused.body)")
        }
        #expect(first.post("", path: "/v1/connect", headers: bearer(lost)).status == 401)
        let used = try #require(WebSocketPeer(first.port, query: "?ticket=\(ticket)"))
        used.send(#"{"id":1,"connect":{}}"#)
        #expect(used.read { $0.closeCode == 3500 })
        nameless.send(#"{"id":2,"refresh":{"token":"\#(lost)"}}"#)
        #expect(nameless.read { $0.closeCode == 3500 })
        // And nobody else is.
        other.send(#"{"id":2,"refresh":{"token":"\#(named("bob", "three"))"}}"#)
        #expect(other.read { $0.replies.count == 2 } && other.closeCode == nil)
        #expect(await first.metric(#"carillon_refused_credentials_total{cause="revoked"}"#) >= 5)
        #expect(!first.log.all.contains { $0.contains(lost) || $0.contains("bob") || $0.contains(ticket) })
        await second.host.drain()
        second.host.loop.stop()
        await first.stop()
    }

    @Test func aPersonIsClosedUpToAMoment() async throws {
        let site = try await Deployment(["API_KEY": key])
        let old = try site.connected(named("acme/bob", "a", issued: now - 100))
        let young = try site.connected(named("acme/bob", "b", issued: now - 10))
        let ageless = mintHS256(TokenClaims(subject: "acme/bob", expires: now + 600), secret: secret)
        let undated = try site.connected(ageless)
        let other = try site.connected(named("bob", "a", issued: now - 100))
        #expect(site.post(#"{"person":"acme/bob","before":\#(now - 50)}"#).status == 200)
        #expect(old.read { $0.closeCode == 3500 } && undated.read { $0.closeCode == 3500 })
        young.send(#"{"id":2,"refresh":{"token":"\#(named("acme/bob", "b", issued: now - 100))"}}"#)
        #expect(young.read { $0.closeCode == 3500 })
        let next = try site.connected(named("acme/bob", "c", issued: now - 49))
        // An earlier moment takes nothing back, and without one it is now.
        #expect(site.post(#"{"person":"acme/bob","before":1}"#).status == 200)
        #expect(await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(ageless)"]).status == 401)
        #expect(site.post(#"{"person":"acme/bob"}"#).status == 200)
        #expect(next.read { $0.closeCode == 3500 })
        other.send(#"{"id":2,"refresh":{"token":"\#(named("bob", "d"))"}}"#)
        #expect(other.read { $0.replies.count == 2 } && other.closeCode == nil)
        await site.stop()
    }

    /// Redis knows, and no control line came: the batch's number is missed, and the walk asks for everybody.
    @Test func aLostControlLineIsNoticed() async throws {
        let site = try await Deployment()
        let lost = try site.connected(named("bob", "one"))
        let refreshed = try site.connected(named("bob", "one"))
        refreshed.send(#"{"id":2,"refresh":{"token":"\#(named("bob", "two"))"}}"#)
        #expect(refreshed.read { $0.replies.count == 2 })
        #expect(try site.redis.cli("SET", "revoked:jti:\(digits("one"))", "1", "PX", "60000") == "OK")
        _ = try site.redis.cli("INCR", "gateway:{\(try site.redis.cli("HKEYS", "gateways"))}:sequence")
        #expect(lost.read { $0.closeCode == 3500 })
        #expect(await site.metric("carillon_gateway_gaps_total") == 1)
        refreshed.send(#"{"id":3,"refresh":{"token":"\#(named("bob", "two"))"}}"#)
        #expect(refreshed.read { $0.replies.count == 3 } && refreshed.closeCode == nil)
        await site.stop()
    }

    @Test func revocationsEndWithTheirTokens() async throws {
        let site = try await Deployment(["API_KEY": key, "REVOCATION_LIFETIME": "1h"])
        let start = now
        let end = start + 100
        #expect(site.post(#"{"jti":"one","expires":\#(end)}"#).status == 200)
        #expect(site.post(#"{"jti":"two"}"#).status == 200)
        #expect(site.post(#"{"person":"bob"}"#).status == 200)
        #expect(site.post(#"{"jti":"past","expires":1}"#).status == 200)
        func left(_ key: String) throws -> Int { try Int(site.redis.cli("TTL", key)) ?? -9 }
        // The gateway tells Redis how long, counted from some moment since the start: what it took until Redis heard is added.
        for (key, lifetime) in [
            // A minute more than a token may be good for: its maker's clock may be ahead.
            ("jti:\(digits("one"))", 100), ("jti:\(digits("two"))", 3_660),
            ("{\(shard(of: PersonID("bob")!, shards: 64))}:bob", 3_660),
        ] {
            let ends = try left("revoked:\(key)")
            #expect(ends <= lifetime + 1 && ends >= lifetime - Int(now - start) - 1, "\(key)")
        }
        await site.stop()
    }

    /// One share for all loops, or there would be as many as loops.
    @Test func wrongKeysAreSlowedDown() async throws {
        let site = try await Deployment(["API_KEY": key, "API_KEY_FAILURES": "5", "GATEWAY_LOOPS": "2"])
        let wrong = (0..<12).map { _ in site.post(#"{"jti":"a"}"#, key: "wrong").status }
        // Time passes while they are asked, and brings one more.
        #expect((5...6).contains(wrong.count { $0 == 401 }) && wrong.count { $0 == 429 } >= 6)
        let answer = site.post(#"{"jti":"a"}"#, key: key)
        #expect(answer.status == 429 && answer.head.contains("Retry-After: ") && answer.body.contains("#too_many_wrong_keys"))
        await site.stop()
    }

    @Test func whoMayRevoke() async throws {
        let site = try await Deployment(["API_KEY": key])
        #expect(site.post(#"{"jti":"a"}"#, key: "wrong").status == 401)
        #expect(site.post(#"{"jti":"a"}"#, key: "wrong").body.contains("#api_key_invalid"))
        for body in [
            "", "[]", "{}", "{", #"{"jti":7}"#, #"{"jti":""}"#, #"{"jti":"a","person":"b"}"#, #"{"person":"a{b"}"#,
            #"{"person":"bob","before":\#(now + 3600)}"#, #"{"person":"bob","before":\#(now * 1000)}"#,
            #"{"person":"bob","before":-1}"#, #"{"jti":"a","expires":1e3}"#, #"{"jti":"a","expires":99999999999}"#,
            #"{"jti":"\#(String(repeating: "a", count: 256))"}"#,
        ] { #expect(site.post(body).status == 400, "\(body)") }
        #expect(await site.http("GET", "/v1/revocations").status == 405)
        await site.stop()
        let keyless = try await Deployment()
        #expect(keyless.post(#"{"jti":"a"}"#).status == 401)
        await keyless.stop()
    }

    @Test func aSweepIsOneLookForMany() throws {
        var sweep = RevocationSweep()
        let bob = try #require(PersonID("bob"))
        func identity(_ token: UInt64, _ issued: Int64) -> Client.Identity {
            Client.Identity(person: bob, device: nil, expires: .max, token: token, issued: issued)
        }
        #expect(!sweep.revokes(identity(0, 0)) && !sweep.revokes(identity(7, 7)))
        sweep.add(.token(7))
        #expect(sweep.revokes(identity(7, 7)) && !sweep.revokes(identity(8, 7)) && !sweep.revokes(identity(0, 0)))
        sweep.add(.person(bob, before: 100))
        sweep.add(.person(bob, before: 50))
        #expect(sweep.revokes(identity(8, 99)) && !sweep.revokes(identity(8, 100)) && sweep.revokes(identity(8, 0)))
        #expect(sweep.count == 2)
        #expect(identity(1, 5).expires == Int64(UInt32.max) && identity(1, 5).issued == 5)
        // Eight bytes of it are for revocations.
        #expect(MemoryLayout<Client.Identity?>.size <= 56)
    }

    @Test func controlLines() throws {
        let bob = try #require(PersonID("acme/bob \"é\""))
        for revocation in [Revocation.token(1), .token(.max), .person(bob, before: 1_795_000_000)] {
            #expect(try Revocation(controlLine: revocation.controlLine().span) == revocation)
        }
        #expect(Revocation.token(255).controlLine() == Array(#"{"close":3500,"jti":"00000000000000ff"}"#.utf8))
        for line in [#"{"close":3500}"#, #"{"read":{}}"#, #"{"jti":"xyz"}"#, #"{"person":"a"}"#] {
            #expect(try Revocation(controlLine: Array(line.utf8).span) == nil)
        }
        #expect(throws: JSONError.self) { _ = try Revocation(controlLine: Array("{".utf8).span) }
    }

    /// `{"close":code}` to one connection, which its own gateway takes for granted.
    @Test func oneConnectionIsClosedOnOrder() async throws {
        let site = try await Deployment()
        let (bob, other) = (try site.connected(named("bob", nil)), try site.connected(named("bob", nil)))
        let name = ((bob.replies[0]["connect"] as? [String: Any])?["client"] as? String).flatMap { ConnectionID($0) }
        let connection = try #require(name)
        for line in [#"{"close":1}"#, #"{"close":99999}"#, #"{"close":3500}"#] {
            var batch = GatewayBatch()
            batch.recipient(
                LocalConnection(index: connection.index, generation: connection.generation), nil, accepted: 0)
            batch.end(Array(line.utf8), Array(line.utf8).indices)
            try await site.feeder.publish(String(decoding: batch.take(), as: UTF8.self), to: connection.instance.text)
        }
        #expect(bob.read { $0.closeCode == 3500 } && bob.closeReason == "closed by another service")
        other.send(#"{"id":2,"refresh":{"token":"\#(named("bob", nil))"}}"#)
        #expect(other.read { $0.replies.count == 2 } && other.closeCode == nil)
        await site.stop()
    }

    /// More than are gathered at most: those that are over are looked for at once.
    @Test func aFloodOfRevocations() async throws {
        let site = try await Deployment()
        let bob = try site.connected(named("bob", "last"))
        var batch = GatewayBatch()
        for number in 1...UInt64(CredentialCheck.sweepLimit + 1) {
            let line = (number > UInt64(CredentialCheck.sweepLimit) ? Revocation.token(tokenIDHash("last")) : .token(number)).controlLine()
            batch.recipient(.everyone, nil, accepted: 0)
            batch.end(line, line.indices)
        }
        try await site.feeder.publish(
            String(decoding: batch.take(), as: UTF8.self), to: site.redis.cli("HKEYS", "gateways"))
        #expect(bob.read { $0.closeCode == 3500 })
        await site.stop()
    }
}
