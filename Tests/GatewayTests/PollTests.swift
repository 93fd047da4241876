import EventLoop
import Foundation
import Models
import ServiceRuntime
import Store
import TestSupport
import Testing

@testable import Gateway

/// A client that polls on one connection, request after request.
final class PollPeer {
    let socket: RawSocket

    init?(_ port: Int) {
        guard let socket = RawSocket(port: port) else { return nil }
        self.socket = socket
    }

    func ask(_ query: String, _ headers: String = "") {
        socket.send("GET /connection/poll\(query) HTTP/1.1\r\nHost: x\r\n\(headers)\r\n")
    }

    func answer(milliseconds: Int32 = 60_000) -> Answer? {
        guard let head = socket.take(through: "\r\n\r\n", milliseconds: milliseconds) else { return nil }
        let length = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
        let count = length.flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) } ?? 0
        let body = count > 0 ? socket.take(count, milliseconds: milliseconds) ?? [] : []
        return Answer(
            status: Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0, head: head,
            body: String(decoding: body, as: UTF8.self))
    }

    func poll(_ query: String, _ headers: String = "") -> Answer? {
        ask(query, headers)
        return answer()
    }
}

extension Answer {
    var cursor: String { json["cursor"] as? String ?? "?" }
    var recovered: Bool? { json["recovered"] as? Bool }
    var unread: Int? { json["unread"] as? Int }
}

@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct PollTests {
    private func routes(_ site: Deployment, _ person: String) throws -> String {
        try site.redis.cli("HVALS", "routes:{\(shard(person))}:\(person)")
    }

    @Test func aPollBringsWhatIsStoredThenWaitsForWhatComes() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "3"])
        let bearer = "Authorization: Bearer \(token("bob", device: "phone"))\r\n"
        let bob = try #require(PollPeer(site.port))
        let first = try #require(bob.poll("", bearer))
        #expect(first.status == 200 && titles(first) == [] && first.recovered == false && first.unread == 0)
        try await site.feeder.deliver(["a", "b", "c", "d"], to: "bob")
        let stored = try #require(bob.poll("?cursor=\(first.cursor)&wait=30", bearer))
        #expect(titles(stored) == ["a", "b", "c"] && stored.recovered == true && stored.unread == 4, "a page at most")
        let rest = try #require(bob.poll("?cursor=\(stored.cursor)&wait=30", bearer))
        #expect(titles(rest) == ["d"])
        bob.ask("?cursor=\(rest.cursor)&wait=30", bearer)
        try await until { try routes(site, "bob") == "phone|poll" }
        #expect(await site.metric(#"carillon_gateway_connections{transport="poll"}"#) == 1)
        try await site.feeder.deliver(["e", "f"], to: "bob")
        let live = try #require(bob.answer())
        #expect(titles(live) == ["e", "f"] && live.recovered == true && live.unread == 6, "one turn, one answer")
        #expect(live.head.contains("Connection: close") == false && !bob.socket.isEnded)
        try await until { try routes(site, "bob") == "" }
        // What fell between two polls is stored.
        try await site.feeder.deliver(["g"], to: "bob")
        let between = try #require(bob.poll("?cursor=\(live.cursor)&wait=30", bearer))
        #expect(titles(between) == ["g"] && between.unread == 7)
        let none = try #require(bob.poll("?cursor=\(between.cursor)&wait=1", bearer))
        #expect(none.status == 204 && none.body == "" && !none.head.contains("Content-Length"))
        let now = try #require(bob.poll("?cursor=\(between.cursor)&wait=0", bearer))
        #expect(now.status == 204)
        #expect(await site.metric(#"carillon_gateway_deliveries_total{transport="poll"}"#) == 7)
        try await until { await site.metric(#"carillon_gateway_connections{transport="poll"}"#) == 0 }
        try await until { try routes(site, "bob") == "" }
        await site.stop()
    }

    /// What comes at once beyond the size of a page waits for the next poll, in order.
    @Test func anAnswerHoldsAPageAtMost() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "3"])
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        let bob = try #require(PollPeer(site.port))
        var cursor = try #require(bob.poll("", bearer)).cursor
        bob.ask("?cursor=\(cursor)&wait=30", bearer)
        try await until { try routes(site, "bob") != "" }
        let wanted = (1...8).map { "\($0)" }
        try await site.feeder.deliver(wanted, to: "bob")
        var seen: [String] = []
        while seen.count < wanted.count {
            let answer = try #require(bob.answer())
            #expect(answer.status == 200 && (1...3).contains(titles(answer).count))
            seen += titles(answer)
            cursor = answer.cursor
            if seen.count < wanted.count { bob.ask("?cursor=\(cursor)&wait=30", bearer) }
        }
        #expect(seen == wanted)
        await site.stop()
    }

    @Test func aCursorThatCannotBeRecoveredIsSaidToBeSo() async throws {
        let site = try await Deployment()
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        let delivered = try await site.feeder.deliver(["a", "b"], to: "bob")
        let bob = try #require(PollPeer(site.port))
        for cursor in ["9.nonsense", "1.12345-1", ""] {
            let answer = try #require(bob.poll("?cursor=\(cursor)", bearer))
            #expect(answer.status == 200 && titles(answer) == [] && answer.recovered == false && answer.unread == 2)
            #expect(answer.cursor == "1.\(delivered.epoch)-2")
        }
        // History that goes while a poll waits: it ends, and the next one says so.
        bob.ask("?cursor=1.\(delivered.epoch)-2&wait=30", bearer)
        try await until { try routes(site, "bob") != "" }
        let state = "inbox:{\(shard("bob"))}:bob:state"
        _ = try site.redis.cli("DEL", state, "inbox:{\(shard("bob"))}:bob")
        try await site.feeder.deliver(["c"], to: "bob")
        #expect(bob.answer()?.status == 204)
        let after = try #require(bob.poll("?cursor=1.\(delivered.epoch)-2&wait=30", bearer))
        #expect(after.status == 200 && after.recovered == false && titles(after) == [])
        await site.stop()
    }

    @Test func aWaitIsBoundedAndMustBeANumber() async throws {
        let site = try await Deployment(["POLL_MAX_WAIT": "1s"])
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        let bob = try #require(PollPeer(site.port))
        let cursor = try #require(bob.poll("", bearer)).cursor
        for wait in ["&wait=3600", "", "&wait=1"] {
            let watch = Standstill()
            #expect(bob.poll("?cursor=\(cursor)\(wait)", bearer)?.status == 204)
            #expect(watch.end() < 2.5)
        }
        for wait in ["-1", "x", "1.5", ""] {
            let answer = try #require(bob.poll("?cursor=\(cursor)&wait=\(wait)", bearer))
            #expect(answer.status == 400 && answer.body.contains("#invalid_wait"))
        }
        #expect(try #require(bob.poll("?cursor=\(cursor)")).status == 401)
        await site.stop()
    }

    @Test func whoGoesAwayWhileWaitingHasNoRoute() async throws {
        let site = try await Deployment()
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        let bob = try #require(PollPeer(site.port))
        let cursor = try #require(bob.poll("", bearer)).cursor
        bob.ask("?cursor=\(cursor)", bearer)
        try await until { try routes(site, "bob") != "" }
        bob.socket.close()
        try await until { try routes(site, "bob") == "" }
        #expect(await site.metric(#"carillon_gateway_connections{transport="poll"}"#) == 0)
        // A token that ends while its poll waits.
        let brief = try #require(PollPeer(site.port))
        let answer = brief.poll("?cursor=\(cursor)&wait=30", "Authorization: Bearer \(token("bob", seconds: 1))\r\n")
        #expect(answer?.status == 401 && answer?.body.contains("#token_expired") == true)
        await site.stop()
    }

    @Test func aTicketServesPollAfterPoll() async throws {
        let site = try await Deployment()
        let made = await site.http("POST", "/v1/connect?device=tablet", ["Authorization": "Bearer \(token("bob"))"])
        let url = try #require(made.json["poll"] as? String)
        #expect(url.hasPrefix("http://example.org/connection/poll?ticket=") && url.contains("&u="))
        let query = String(try #require(url.split(separator: "?").last))
        let bob = try #require(PollPeer(site.port))
        let first = try #require(bob.poll("?\(query)"))
        #expect(first.status == 200)
        try await site.feeder.deliver(["a"], to: "bob")
        let second = try #require(bob.poll("?\(query)&cursor=\(first.cursor)"))
        #expect(titles(second) == ["a"])
        #expect(try #require(bob.poll("?\(query)")).status == 401, "a copy without a cursor")
        bob.ask("?\(query)&cursor=\(second.cursor)&wait=30")
        try await until { try routes(site, "bob") == "tablet|poll" }
        // The same ticket from elsewhere ends the poll that waits.
        let other = try #require(PollPeer(site.port))
        other.ask("?\(query)&cursor=\(second.cursor)&wait=30")
        let ended = try #require(bob.answer())
        #expect(ended.status == 401 && ended.body.contains("used elsewhere"))
        try await site.feeder.deliver(["b"], to: "bob")
        #expect(titles(try #require(other.answer())) == ["b"])
        await site.stop()
    }

    @Test func aDrainSendsPollsElsewhere() async throws {
        let site = try await Deployment()
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        let bob = try #require(PollPeer(site.port))
        let cursor = try #require(bob.poll("", bearer)).cursor
        bob.ask("?cursor=\(cursor)&wait=30", bearer)
        try await until { try routes(site, "bob") != "" }
        _ = await site.host.drain()
        let answer = try #require(bob.answer())
        #expect(answer.status == 503 && answer.head.contains("Retry-After: ") && answer.head.contains("Connection: close"))
        #expect(try routes(site, "bob") == "")
        await site.stop()
    }
}
