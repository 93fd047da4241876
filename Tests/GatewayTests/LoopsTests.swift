import Foundation
import Network
import ServiceRuntime
import TestSupport
import Testing

@testable import Gateway

/// A gateway of two loops against a real Redis.
@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct LoopsTests {
    private func series(_ site: Deployment, _ name: String) async -> Double {
        let port = await site.host.operationsPort ?? 0
        guard let socket = RawSocket(port: port) else { return -1 }
        socket.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        let lines = socket.takeAll().split(separator: "\n").filter { $0.hasPrefix(name + " ") }
        #expect(lines.count == 1, "\(name) stands once")
        return lines.first.flatMap { Double($0.split(separator: " ").last ?? "") } ?? -1
    }

    @Test func twoLoopsServeOnePort() async throws {
        let site = try await Deployment(["GATEWAY_LOOPS": "2", "DRAIN_TIMEOUT": "60s", "DRAIN_WINDOW": "1s"])
        // The kernel chooses by the client's port: among so many, some come to each.
        var peers: [WebSocketPeer] = []
        for index in 0..<24 {
            var peer = try #require(WebSocketPeer(site.port))
            try await until {
                if peer.status == 101 { return true }
                peer = try #require(WebSocketPeer(site.port))  // its loop has not enrolled yet
                return peer.status == 101
            }
            peer.connect(token("person-\(index / 2)"))
            #expect(peer.read { !$0.replies.isEmpty })
            peers.append(peer)
        }
        let instances = try site.redis.cli("HKEYS", "gateways").split(separator: "\n").map(String.init).sorted()
        #expect(instances.count == 2)
        #expect(instances.allSatisfy { $0.hasPrefix("gateway-1#") || $0.hasPrefix("gateway-1.2#") })
        let held = try instances.map { instance in
            try (0..<12).reduce(0) { count, person in
                let keys = try site.redis.cli("HKEYS", "routes:{\(shard("person-\(person)"))}:person-\(person)")
                return count + keys.split(separator: "\n").count { $0.hasPrefix(instance + ".") }
            }
        }
        #expect(held.allSatisfy { $0 > 0 } && held.reduce(0, +) == 24, "\(held)")
        // Both devices of each person hear it, wherever they are.
        for person in 0..<12 { try await site.feeder.deliver(["to all"], to: "person-\(person)") }
        for peer in peers { #expect(peer.readTitles(1) == ["to all"]) }
        #expect(await series(site, #"carillon_gateway_connections{transport="websocket"}"#) == 24)
        #expect(await series(site, #"carillon_gateway_deliveries_total{transport="websocket"}"#) == 24)
        #expect(await series(site, #"carillon_dependency_up{dependency="redis"}"#) == 1)
        #expect(site.log.count("dependency is up") == 1 && site.log.count("message=ready") == 1)
        async let drained = site.host.drain()
        // Reads hold a thread, of which the drain may need one to begin.
        try await until { RawSocket(port: site.port) == nil }
        for peer in peers { #expect(peer.read { $0.closeCode == 3001 }) }
        for peer in peers { peer.socket.close() }
        #expect(await drained)
        #expect(try site.redis.cli("KEYS", "gateway*") == "" && site.redis.cli("KEYS", "routes:*") == "")
        #expect(RawSocket(port: site.port) == nil)
        await site.stop()
    }

    @Test func loopsShareTheirLimitOnConnections() async throws {
        let site = try await Deployment(["GATEWAY_LOOPS": "2", "MAX_CONNECTIONS": "4"])
        var held: [WebSocketPeer] = []
        try await until {
            let peer = try #require(WebSocketPeer(site.port))
            if peer.status == 101 { held.append(peer) }
            return held.count == 4
        }
        for _ in 0..<6 { #expect(try #require(WebSocketPeer(site.port)).status == 503) }
        held = []
        try await until { WebSocketPeer(site.port)?.status == 101 }
        _ = await site.host.drain()
        await site.stop()
    }

    @Test func aTicketsFormerUseEndsOnWhicheverLoop() async throws {
        let site = try await Deployment(["GATEWAY_LOOPS": "2"])
        try await until { try site.redis.cli("HLEN", "gateways") == "2" }
        let answer = await site.http("POST", "/v1/connect", ["Authorization": "Bearer \(token("bob"))"])
        let ticket = try #require(answer.json["ticket"] as? String)
        var resume = ""
        var former: EventPeer?
        for _ in 0..<10 {
            var peer = try #require(EventPeer(site.port, query: "?ticket=\(ticket)", headers: resume))
            var greeting = peer.next() ?? ""
            try await until {  // its loop may not hear Redis yet
                if greeting.contains("connected") { return true }
                peer = try #require(EventPeer(site.port, query: "?ticket=\(ticket)", headers: resume))
                greeting = peer.next() ?? ""
                return greeting.contains("connected")
            }
            resume = "Last-Event-ID: \(greeting.split(separator: "\n")[1].dropFirst(4))\r\n"
            if let former { #expect(former.next()?.hasPrefix("retry:") == true && former.next() == nil) }
            try await until { try site.redis.cli("GET", "tickets:\(ticket)").contains("start") }
            former = peer
        }
        _ = await site.host.drain()
        await site.stop()
    }

    @Test func setsOfMetricsAddUp() {
        enum Colour: String, MetricLabel { case red, blue }
        func set(_ count: Int) -> Metrics {
            let metrics = Metrics()
            let counters = metrics.counter("a_total", "A.", by: "colour", Colour.self)
            counters[.red].increment(by: count)
            metrics.gauge("b", "B.").set(count)
            metrics.histogram("c_seconds", "C.", buckets: [1, 10]).observe(Double(count))
            return metrics
        }
        let other = set(5)
        other.gauge("only_here", "D.").set(1)
        var sum = set(2).snapshot()
        sum.add(other.snapshot())
        sum.add(set(100).snapshot())
        let text = String(decoding: sum.text(), as: UTF8.self)
        for line in [
            #"a_total{colour="red"} 107"#, #"a_total{colour="blue"} 0"#, "b 107", #"c_seconds_bucket{le="1"} 0"#,
            #"c_seconds_bucket{le="10"} 2"#, #"c_seconds_bucket{le="+Inf"} 3"#, "c_seconds_sum 107", "c_seconds_count 3",
            "only_here 1",
        ] { #expect(text.contains(line + "\n"), "\(line)") }
    }
}
