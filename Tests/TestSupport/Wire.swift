internal import Foundation
internal import Synchronization

/// A TCP proxy on loopback between a client and a server, whose connections can die without a word, or bring late what they bring.
public final class Wire: Sendable {
    public let port: Int
    private let listener: Int32
    private let target: Int
    private let pairs = Mutex<[Pair]>([])

    public struct NotStarted: Error {}

    /// Two connected sockets; a thread carries what comes on either to the other.
    private final class Pair: Sendable {
        let client: Int32
        let server: Int32
        let swallows = Atomic(false)
        let holds = Atomic(false)
        let isOver = Atomic(false)

        init(_ client: Int32, _ server: Int32) {
            self.client = client
            self.server = server
        }
    }

    public init(to target: Int) throws {
        self.target = target
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let failed = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) != 0 || listen(listener, 64) != 0 || getsockname(listener, $0, &length) != 0
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        guard !failed else { throw NotStarted() }
        Thread.detachNewThread { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0, let self else { return }
                self.carry(client)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        pairs.withLock { for pair in $0 { shutdown(pair.client, Int32(SHUT_RDWR)) } }
    }

    /// Connections that have come so far.
    public var accepted: Int { pairs.withLock { $0.count } }

    /// From now on each connection that there is takes everything and passes nothing on, either way. New ones work.
    public func swallow() {
        pairs.withLock { for pair in $0 { pair.swallows.store(true, ordering: .relaxed) } }
    }

    /// From now on each connection that there is keeps what its client sends, its end as well, until `release`. New ones work.
    public func hold() {
        pairs.withLock { for pair in $0 { pair.holds.store(true, ordering: .relaxed) } }
    }

    /// What was held goes on its way, to servers that still listen to it.
    public func release() {
        pairs.withLock { for pair in $0 { pair.holds.store(false, ordering: .relaxed) } }
    }

    /// Connections of which neither side has ended, or whose end is held.
    public var open: Int { pairs.withLock { $0.count { !$0.isOver.load(ordering: .relaxed) } } }

    private func carry(_ client: Int32) {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(target)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        let pair = Pair(client, server)
        pairs.withLock { $0.append(pair) }
        Thread.detachNewThread {
            if connected { Self.run(pair) }
            pair.isOver.store(true, ordering: .relaxed)
            close(client)
            close(server)
        }
    }

    private static func run(_ pair: Pair) {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            var ends = [
                pollfd(fd: pair.client, events: Int16(POLLIN), revents: 0), pollfd(fd: pair.server, events: Int16(POLLIN), revents: 0),
            ]
            if pair.holds.load(ordering: .relaxed) {
                // A look every 5 ms whether it still holds; of the client's end nothing is read meanwhile.
                ends[0].fd = -1
                if poll(&ends, 2, 5) == 0 { continue }
                ends[0].fd = pair.client
            } else {
                guard poll(&ends, 2, -1) > 0 else { return }
            }
            for (index, end) in ends.enumerated() where end.revents != 0 {
                if index == 0, pair.holds.load(ordering: .relaxed) { continue }
                let count = recv(end.fd, &chunk, chunk.count, 0)
                let swallows = pair.swallows.load(ordering: .relaxed)
                if count <= 0 {
                    // A swallowed end is told of nothing; its own end is the last.
                    if swallows, index == 1 {
                        _ = poll(&ends, 1, -1)
                        continue
                    }
                    return
                }
                if !swallows { _ = send(ends[1 - index].fd, chunk, count, Int32(MSG_NOSIGNAL)) }
            }
        }
    }

    private static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port).bigEndian)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return address
    }
}
