import TestSupport
import Testing

@testable import Gateway

@Suite(.blocking) struct RefusalAddressTests {
    /// A refused token's line tells clients apart that come through a proxy, by whatever door.
    @Test(arguments: [false, true]) func refusalsCarryTheClient(_ isShown: Bool) async throws {
        let site = try await Deployment(["LOG_ADDRESSES": "\(isShown)"])
        let forwarded = "X-Forwarded-For: 192.0.2.9\r\n"
        _ = await site.http("GET", "/v1/inbox", ["X-Forwarded-For": "192.0.2.9", "Authorization": "Bearer x"])
        let peer = try #require(WebSocketPeer(site.port, headers: forwarded))
        peer.connect("x")
        #expect(peer.read { $0.closeCode != nil })
        let lines = site.log.all.filter { $0.contains("a credential was refused") }
        let addresses = lines.compactMap { $0.split(separator: "address=").last }
        #expect(addresses.count == 2 && addresses[0] == addresses[1], "\(lines)")
        #expect(addresses.first == (isShown ? "192.0.2.9\n" : addresses.first) && addresses.first?.hasPrefix("#") == !isShown)
        await site.stop()
    }
}
