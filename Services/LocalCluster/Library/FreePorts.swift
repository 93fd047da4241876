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

    static func isFree(_ port: Int, loop: EventLoop) -> Bool {
        guard let listener = try? Listener(loop: loop, address: ClusterPlan.host, port: port) else { return false }
        listener.close()
        return true
    }
}
