import Foundation
import TestSupport
import Testing

@testable import Redis

/// What a connection that was given up brings late.
@Suite(.blocking) struct FormerConnectionTests {
    /// A command waits on its way for longer than the client does. It must not be done behind what the next connection brought:
    /// a late `register` would put back a route that was removed meanwhile.
    @Test func whatAFormerConnectionBringsLateIsNotDone() async throws {
        let server = try RedisServer()
        let wire = try Wire(to: server.port)
        var limits = RedisLimits()
        limits.commandTimeout = .seconds(2)
        limits.reconnectLimit = .milliseconds(200)
        let caller = Caller(RedisEndpoint(host: "127.0.0.1", port: wire.port), limits: limits)
        await caller.start()
        #expect(await caller.comesUp())
        #expect(await caller.send("SET", "k", "first") == .success(.status("OK")))
        wire.hold()
        #expect(await caller.send("SET", "k", "former") == .failure(.timedOut))
        #expect(await caller.comesUp())
        #expect(await caller.send("SET", "k", "latter") == .success(.status("OK")))
        wire.release()
        // The held bytes have gone to Redis, or Redis has closed the connection that they were for; then one is left, and this.
        let deadline = Date() + 60
        func connections() throws -> Int { try server.cli("CLIENT", "LIST").split(separator: "\n").count }
        while try wire.open > 1 || connections() > 2, Date() < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(wire.open == 1)
        #expect(await caller.send("GET", "k") == .success(.bytes(Array("latter".utf8))))
        await caller.stop()
    }

    /// A user who may not do that is served all the same.
    @Test func aUserWithoutTheRightIsServed() async throws {
        let server = try RedisServer()
        try server.cli("ACL", "SETUSER", "plain", "on", ">geheim", "~*", "+@all", "-@admin", "-@dangerous", "+info")
        let wire = try Wire(to: server.port)
        var limits = RedisLimits()
        limits.commandTimeout = .seconds(2)
        limits.reconnectLimit = .milliseconds(200)
        let caller = Caller(RedisEndpoint(host: "127.0.0.1", port: wire.port, user: "plain", password: "geheim"), limits: limits)
        await caller.start()
        #expect(await caller.comesUp())
        wire.hold()
        #expect(await caller.send("SET", "k", "former") == .failure(.timedOut))
        #expect(await caller.comesUp())
        #expect(await caller.send("SET", "k", "latter") == .success(.status("OK")))
        await caller.stop()
    }
}
