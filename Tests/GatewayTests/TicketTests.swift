import EventLoop
import Foundation
import Models
import ServiceRuntime
import Store
import TestSupport
import Testing

@testable import Gateway

/// Tickets: who may come with one, how often, and showing what.
@Suite(.blocking) struct TicketTests {
    private func ticket(_ site: Deployment, _ query: String = "") async throws -> String {
        let answer = await site.http("POST", "/v1/connect\(query)", ["Authorization": "Bearer \(token("bob"))"])
        #expect(answer.status == 200)
        return try #require(answer.json["ticket"] as? String)
    }

    private func events(_ site: Deployment, _ ticket: String, showing cursor: String? = nil) throws -> EventPeer {
        let headers = cursor.map { "Last-Event-ID: \($0)\r\n" } ?? ""
        return try #require(EventPeer(site.port, query: "?ticket=\(ticket)", headers: headers))
    }

    /// The id of the next event, once the ticket is marked with that use.
    private func begun(_ peer: EventPeer, _ site: Deployment, _ ticket: String) async throws -> String {
        let greeting = try #require(peer.next())
        #expect(greeting.contains("event: connected"))
        let cursor = try #require(id(greeting))
        try await until { try site.redis.cli("GET", "tickets:\(ticket)").contains("start") }
        return cursor
    }

    private func id(_ event: String?) -> String? {
        event?.split(separator: "\n").first { $0.hasPrefix("id: ") }.map { String($0.dropFirst(4)) }
    }

    /// As if the 30 s had passed.
    private func age(_ site: Deployment, _ ticket: String) throws {
        let stored = try site.redis.cli("GET", "tickets:\(ticket)")
        let aged = stored.replacing(/"fresh":\d+/, with: #""fresh":1"#)
        #expect(aged != stored)
        #expect(try site.redis.cli("SET", "tickets:\(ticket)", aged, "KEEPTTL") == "OK")
    }

    @Test func aTicketThatNobodyUsesInTimeIsNone() async throws {
        let site = try await Deployment(["TICKET_LIFETIME": "1s"])
        let ticket = try await ticket(site)
        try await until { try site.redis.cli("EXISTS", "tickets:\(ticket)") == "0" }
        #expect(try #require(WebSocketPeer(site.port, query: "?ticket=\(ticket)")).status == 401)
        #expect(try events(site, ticket).status == 401)
        await site.stop()
    }

    @Test func aTicketOpensAWebSocketOnce() async throws {
        let site = try await Deployment()
        let answer = await site.http("POST", "/v1/connect?device=phone", ["Authorization": "Bearer \(token("bob"))"])
        #expect(answer.status == 200 && answer.json["retry"] as? Int == 1000)
        let ticket = try #require(answer.json["ticket"] as? String)
        let url = try #require(answer.json["websocket"] as? String)
        #expect(url.hasPrefix("ws://example.org/connection/websocket?ticket=\(ticket)&u="))
        let peer = try #require(WebSocketPeer(site.port, query: "?ticket=\(ticket)"))
        peer.send(#"{"id":1,"connect":{}}"#)
        #expect(peer.read { !$0.replies.isEmpty } && peer.inbox["epoch"] != nil)
        #expect(try site.redis.cli("HVALS", "routes:{\(shard("bob"))}:bob") == "phone|websocket")
        #expect(try #require(WebSocketPeer(site.port, query: "?ticket=\(ticket)")).status == 401)
        await site.stop()
    }

    /// Once its reader has shown a cursor that only she has seen, nobody uses the URL without one.
    @Test func aCopiedURLIsOfNoUse() async throws {
        let site = try await Deployment()
        let delivered = try await site.feeder.deliver(["a", "b"], to: "bob")
        let ticket = try await ticket(site)
        let first = try events(site, ticket)
        let cursor = try await begun(first, site, ticket)
        #expect(cursor.hasPrefix("1.\(delivered.epoch)-2.") && !ticket.contains(cursor.suffix(11)))
        let again = try events(site, ticket, showing: cursor)
        #expect(again.status == 200 && again.next()?.contains("\"recovered\":true") == true)
        #expect(first.next()?.hasPrefix("retry:") == true, "the use before it is ended")
        #expect(first.next() == nil && first.socket.isEnded)
        #expect(await site.metric(#"carillon_gateway_disconnects_total{reason="replaced"}"#) == 1)
        try await until { try site.redis.cli("GET", "tickets:\(ticket)").contains("shown") }
        let (tag, bare) = (cursor.suffix(12), cursor.dropLast(12))
        for forged in [
            nil, "1.1-1", "1.0-0", String(bare), "\(bare).", "1.\(delivered.epoch)-1\(tag)", "1.\(delivered.epoch)-3\(tag)",
            "\(bare).AAAAAAAAAAA", "\(bare)\(tag)A", "1.0-0\(tag)", String(tag), "",
        ] {
            #expect(try events(site, ticket, showing: forged).status == 401, "\(forged ?? "no cursor")")
            let poll = try #require(PollPeer(site.port)?.poll("?ticket=\(ticket)&cursor=\(forged ?? "")"))
            #expect(poll.status == 401 && poll.body.contains("#token_invalid"), "\(forged ?? "no cursor")")
        }
        #expect(try #require(WebSocketPeer(site.port, query: "?ticket=\(ticket)")).status == 401, "nor by another door")
        // None of that took the ticket from its reader.
        try await site.feeder.deliver(["c"], to: "bob")
        let event = try #require(again.next())
        #expect(event.contains("\"c\""))
        let later = try #require(id(event))
        #expect(try events(site, ticket, showing: later).next()?.contains("\"recovered\":true") == true)
        // A cursor that she has left behind may stand in a log of URLs.
        try await until { try site.redis.cli("GET", "tickets:\(ticket)").contains("\(delivered.epoch)-3") }
        #expect(try #require(EventPeer(site.port, query: "?ticket=\(ticket)&last_event_id=\(cursor)")).status == 401)
        await site.stop()
    }

    /// An EventSource whose first answer was lost has no id to show, and is not given up.
    @Test func aFirstUseMayBeRepeatedUntilItWasSeen() async throws {
        let site = try await Deployment()
        let ticket = try await ticket(site)
        let lost = try events(site, ticket)
        let first = try await begun(lost, site, ticket)
        let repeated = try events(site, ticket)
        #expect(repeated.status == 200)
        let second = try await begun(repeated, site, ticket)
        #expect(lost.next()?.hasPrefix("retry:") == true && lost.next() == nil)
        // Over a poll as well, as long as nothing was shown.
        let poll = try #require(PollPeer(site.port)?.poll("?ticket=\(ticket)"))
        #expect(poll.status == 200 && repeated.next()?.hasPrefix("retry:") == true)
        try age(site, ticket)
        #expect(try events(site, ticket).status == 401, "not after the ticket's 30 s")
        // Whichever answer it was that came, its cursor is good.
        for cursor in [first, second, poll.cursor] {
            let peer = try events(site, ticket, showing: cursor)
            #expect(peer.status == 200 && peer.next()?.contains("\"recovered\":true") == true)
            try await until { try site.redis.cli("GET", "tickets:\(ticket)").contains("shown") }
        }
        await site.stop()
    }

    @Test func theProofHoldsAtTheOtherGatewayToo() async throws {
        let site = try await Deployment()
        let other = try await Deployment(["INSTANCE_ID": "gateway-2"], redis: site.redis)
        let ticket = try await ticket(site)
        let first = try events(site, ticket)
        let cursor = try await begun(first, site, ticket)
        try await site.feeder.deliver(["a"], to: "bob", publishes: false)
        let moved = try events(other, ticket, showing: cursor)
        #expect(moved.next()?.contains("\"recovered\":true") == true)
        let event = try #require(moved.next())
        #expect(event.contains("\"a\""))
        try await until { try site.redis.cli("GET", "tickets:\(ticket)").contains("shown") }
        let field = "Last-Event-ID: \(try #require(id(event)))\r\n"
        let back = try #require(PollPeer(site.port)?.poll("?ticket=\(ticket)&wait=0", field))
        #expect(back.status == 204, "a poll may show its cursor in a field, which no log of URLs has")
        await other.host.drain()
        other.host.loop.stop()
        await site.stop()
    }

    /// The tag belongs to the ticket; the position is everybody's.
    @Test func aTaggedCursorServesEveryTransport() async throws {
        let site = try await Deployment()
        let delivered = try await site.feeder.deliver(["a"], to: "bob")
        let ticket = try await ticket(site)
        let cursor = try await begun(try events(site, ticket), site, ticket)
        try await site.feeder.deliver(["b"], to: "bob", publishes: false)
        let bearer = ["Authorization": "Bearer \(token("bob"))"]
        #expect(titles(await site.http("GET", "/v1/inbox?after=\(cursor)", bearer)) == ["b"])
        #expect(await site.http("POST", "/v1/inbox/read", bearer, body: #"{"cursor":"\#(cursor)"}"#).json["unread"] as? Int == 1)
        let stream = try #require(
            EventPeer(site.port, headers: "Last-Event-ID: \(cursor)\r\nAuthorization: Bearer \(token("bob"))\r\n"))
        #expect(id(stream.next()) == "1.\(delivered.epoch)-1", "a token needs no tag")
        // A new ticket goes on where the one before it ended.
        let next = try await self.ticket(site)
        let renewed = try #require(EventPeer(site.port, query: "?ticket=\(next)&last_event_id=\(cursor)"))
        #expect(renewed.next()?.contains("\"recovered\":true") == true)
        await site.stop()
    }

    /// A ticket that a gateway of the version before made or used: no key, and cursors without a tag are under way.
    @Test func ticketsOfTheVersionBefore() async throws {
        let site = try await Deployment()
        let delivered = try await site.feeder.deliver(["a", "b"], to: "bob")
        let end = EventLoop.wallClock() / 1000 + 600
        func store(_ name: String, _ rest: String) throws {
            let record = #"{"person":"bob","exp":\#(end),"channels":[]\#(rest)}"#
            #expect(try site.redis.cli("SET", "tickets:\(name)", record, "EX", "600") == "OK")
        }
        try store("new", "")
        #expect(try await begun(events(site, "new"), site, "new").split(separator: ".").count == 3)
        try store("used", #","start":"\#(delivered.epoch)-1""#)
        for forged in [nil, "1.1-1", "1.0-0", "1.\(delivered.epoch)-0"] {
            #expect(try events(site, "used", showing: forged).status == 401, "\(forged ?? "no cursor")")
        }
        // Its reader gets a tag, and may repeat what was lost until she has shown it.
        for _ in 0..<2 {
            let peer = try events(site, "used", showing: "1.\(delivered.epoch)-1")
            #expect(peer.status == 200 && peer.next()?.contains("\"recovered\":true") == true)
            try await until { try site.redis.cli("GET", "tickets:used").contains("key") }
        }
        let latest = try events(site, "used", showing: "1.\(delivered.epoch)-2")
        let tagged = try #require(id(latest.next()))
        #expect(try events(site, "used", showing: tagged).next()?.contains("\"recovered\":true") == true)
        try await until { try site.redis.cli("GET", "tickets:used").contains("shown") }
        #expect(try events(site, "used", showing: "1.\(delivered.epoch)-2").status == 401)
        // One that outlives every token of today.
        #expect(
            try site.redis.cli("SET", "tickets:old", #"{"person":"bob","exp":4000000000,"channels":[]}"#, "EX", "600") == "OK")
        #expect(try events(site, "old").status == 401)
        await site.stop()
    }

    /// A site behind HTTP Basic, say: what another scheme says is for whoever stands before us.
    @Test func anotherSchemeDefeatsNeitherTicketNorToken() async throws {
        let site = try await Deployment()
        for field in [
            "Authorization: Basic Ym9iOnNlY3JldA==\r\n", "Authorization: Digest username=\"bob\"\r\n", "Authorization: Bearer\r\n",
        ] {
            let ticket = try await ticket(site)
            #expect(try #require(EventPeer(site.port, query: "?ticket=\(ticket)", headers: field)).status == 200)
            #expect(try #require(PollPeer(site.port)?.poll("?ticket=\(ticket)", field)).status == 200)
            let taken = try await self.ticket(site)
            #expect(try #require(WebSocketPeer(site.port, query: "?ticket=\(taken)", headers: field)).status == 101)
            let peer = try #require(WebSocketPeer(site.port, headers: field))
            #expect(peer.status == 101)
            peer.connect(token("bob"))
            #expect(peer.read { !$0.replies.isEmpty } && peer.inbox["epoch"] != nil)
            #expect(try #require(EventPeer(site.port, headers: field)).status == 401)
            let connect = await site.http("POST", "/v1/connect", ["Authorization": String(field.dropFirst(15).dropLast(2))])
            #expect(connect.status == 401 && connect.body.contains("#token_invalid"))
        }
        // A bearer token that will not do is told so, whatever else there is.
        let unused = try await ticket(site)
        let bad = try #require(EventPeer(site.port, query: "?ticket=\(unused)", headers: "Authorization: Bearer x\r\n"))
        #expect(bad.status == 401)
        await site.stop()
    }
}
