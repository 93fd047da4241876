internal import EventLoop
internal import Network

/// Ports that nobody listens on, below those that the kernel gives to outgoing connections: none of ours can take the
/// port of a member while that is being started again. Loop thread only.
struct FreePorts {
    private static let range = 20_000..<32_000
    private let loop: EventLoop
    private var candidates: Range<Int>

    init(loop: EventLoop) {
        self.loop = loop
        // Anywhere in the range, so that two clusters started at once seldom try the same.
        candidates = Int.random(in: Self.range.lowerBound..<Self.range.upperBound - 2_000)..<Self.range.upperBound
    }

    /// The next one, never the same twice.
    mutating func take() throws(ClusterError) -> Int {
        while let port = candidates.popFirst() {
            if Self.isFree(port, loop: loop) { return port }
        }
        throw ClusterError("no port from \(Self.range.lowerBound) to \(Self.range.upperBound) is free")
    }

    /// On every loopback address that this machine has.
    static func isFree(_ port: Int, loop: EventLoop) -> Bool {
        canListen(ClusterPlan.host, port, loop) && (canListen(ClusterPlan.host6, port, loop) || !hasIPv6(loop: loop))
    }

    /// Whether there is an IPv6 loopback address: a machine may have none.
    static func hasIPv6(loop: EventLoop) -> Bool { canListen(ClusterPlan.host6, 0, loop) }

    private static func canListen(_ address: String, _ port: Int, _ loop: EventLoop) -> Bool {
        guard let listener = try? Listener(loop: loop, address: address, port: port) else { return false }
        listener.close()
        return true
    }
}
