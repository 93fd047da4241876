import Models
import Redis
import TestSupport
import Testing

@testable import Store

/// The revocation of a token and that of a person lie in different slots: either counts, whichever answers first.
@Suite(.blocking) struct RevocationsTests {
    private let bob = PersonID("bob")!

    private func isRevoked(_ store: TestStore, token: UInt64, issued: Int64) async throws -> Bool {
        try await store.ask { Revocations($0, $1).isRevoked(bob, token: token, issued: issued, reply: $2) }
    }

    @Test func eitherRevocationCounts() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        func revoke(_ revocation: Revocation) async throws -> Announced {
            try await store.ask { Revocations($0, $1).revoke(revocation, lifetime: .seconds(100), reply: $2) }
        }
        for token in [0, 7] as [UInt64] { #expect(try await !isRevoked(store, token: token, issued: 50)) }
        let gateway = InstanceID(name: "g", epoch: 1)!
        try await store.gateway { $0.enrol(gateway, reply: $1) } as Void
        #expect(try await revoke(.token(7)) == Announced(gateways: 1, heard: 0))
        #expect(try await isRevoked(store, token: 7, issued: 50))
        #expect(try await !isRevoked(store, token: 8, issued: 50))
        #expect(try await !isRevoked(store, token: 0, issued: 50))
        _ = try await revoke(.person(bob, before: 40))
        let cases: [(UInt64, Int64, Bool)] = [(8, 39, true), (8, 40, false), (0, 39, true), (0, 0, true), (7, 99, true)]
        for (token, issued, expected) in cases {
            #expect(try await isRevoked(store, token: token, issued: issued) == expected)
        }
        // An earlier cut that comes later takes nothing back.
        _ = try await revoke(.person(bob, before: 10))
        #expect(try await isRevoked(store, token: 0, issued: 39))
        #expect(try await store.gateway { $0.renew(gateway, reply: $1) } == .renewed(count: 1, sequence: 3), "it was told of each")
        await store.stop()
    }

    /// One that cannot be read lets nobody in; the other, if it says that the token is revoked, decides.
    @Test func oneThatFailsIsNotTakenForGood() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let key = "revoked:{\(shard(of: bob, shards: 64))}:bob"
        try server.cli("SADD", key, "of another type")
        await #expect(throws: StoreError.self) { _ = try await isRevoked(store, token: 7, issued: 50) }
        await #expect(throws: StoreError.self) { _ = try await isRevoked(store, token: 0, issued: 50) }
        try server.cli("SET", "revoked:jti:0000000000000007", "1")
        #expect(try await isRevoked(store, token: 7, issued: 50))
        await store.stop()
    }

    @Test func controlLinesAreReadAsTheyAreWritten() throws {
        for revocation in [Revocation.token(0xAB), .token(.max), .person(PersonID("a\"|b")!, before: -1)] {
            #expect(try Revocation(controlLine: revocation.controlLine().span) == revocation)
        }
        for other in [#"{"unread":3}"#, #"{"jti":"7"}"#, #"{"person":"bob"}"#, "{}"] {
            #expect(try Revocation(controlLine: Array(other.utf8).span) == nil)
        }
        #expect(throws: JSONError.self) { _ = try Revocation(controlLine: Array("{".utf8).span) }
    }
}
