import TestSupport
import Testing

@testable import Gateway

@Suite(.blocking) struct SecuredRedisTests {
    /// A gateway lives with TLS and with the ACL that docs/operations.md has for the services.
    @Test func aRedisWithTLSAndAnACL() async throws {
        let certificate = try TestCertificate()
        let held = try HeldPort()
        defer { withExtendedLifetime(held) {} }
        let redis = try RedisServer()
        try redis.cli("CONFIG", "SET", "tls-auth-clients", "no")
        try redis.cli(
            "CONFIG", "SET", "tls-cert-file", certificate.certificate, "tls-key-file", certificate.key, "tls-ca-cert-file",
            certificate.certificate, "tls-port", "\(held.number)")
        try redis.cli("ACL", "SETUSER", "carillon", "on", ">geheim", "~*", "&*", "+@all", "-@admin", "-@dangerous", "+info")
        let site = try await Deployment(
            [
                "REDIS_URL": "rediss://carillon:geheim@localhost:\(held.number)", "REDIS_CA_FILE": certificate.certificate,
            ], redis: redis)
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(token("bob"))
        #expect(peer.read { !$0.replies.isEmpty })
        try await site.feeder.deliver(["over TLS"], to: "bob")
        #expect(peer.readTitles(1) == ["over TLS"])
        let users = try redis.cli("CLIENT", "LIST").split(separator: "\n")
        #expect(users.contains { $0.contains("user=carillon") })
        #expect(try redis.cli("ACL", "LOG") == "", "nothing was refused")
        await site.stop()
    }
}
