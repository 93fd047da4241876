internal import Foundation
internal import Synchronization

/// A TCP proxy on loopback between a client and a server, whose connections can die without a word, bring late
/// what they bring, or lose what a Redis publishes.
public final class Wire: Sendable {
    public let port: Int
    private let listener: LoopbackListener
    private let target: Int
    private let faults: PublishFaults?
    private let pairs = Mutex<[Pair]>([])

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

    /// - Parameter faults: what becomes of messages that a Redis at the other end publishes; nil: they pass.
    public init(to target: Int, faults: PublishFaults? = nil) throws {
        self.target = target
        self.faults = faults
        listener = try LoopbackListener()
        port = listener.port
        listener.accept { [weak self] client in
            guard let self else { return false }
            carry(client)
            return true
        }
    }

    deinit {
        listener.close()
        pairs.withLock { for pair in $0 { shutdown(pair.client, Int32(SHUT_RDWR)) } }
    }

    /// Connections that have come so far.
    public var accepted: Int { pairs.withLock { $0.count } }

    /// How a connection dies without a word.
    public enum Silence: CaseIterable, Sendable {
        /// Everything is taken, and acknowledged, and nothing passed on: a proxy that has forgotten whose it is.
        case swallows
        /// The client's packets are dropped before TCP sees them, and nothing is acknowledged: a firewall that has forgotten it.
        case drops
    }

    /// From now on each connection that there is is silent, either way. New ones work.
    public func silence(_ how: Silence) {
        pairs.withLock { pairs in
            for pair in pairs {
                pair.swallows.store(true, ordering: .relaxed)
                if how == .drops { Self.dropPackets(to: pair.client) }
            }
        }
    }

    /// What the kernel has for a socket passes the socket's filter first; this one, a program of the one instruction "return 0", lets
    /// nothing through (SO_ATTACH_FILTER of socket(7)).
    private static func dropPackets(to descriptor: Int32) {
        struct Program {
            var count: UInt16
            var instructions: UnsafeMutablePointer<UInt64>
        }
        // BPF_RET | BPF_K, with k = 0.
        var instruction: UInt64 = 0x06
        withUnsafeMutablePointer(to: &instruction) { instructions in
            var program = Program(count: 1, instructions: instructions)
            let status = setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, socklen_t(MemoryLayout<Program>.size))
            precondition(status == 0, "the kernel takes no filter: \(errno)")
        }
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
        let (server, isConnected) = LoopbackListener.connect(to: target)
        let pair = Pair(client, server)
        pairs.withLock { $0.append(pair) }
        Thread.detachNewThread { [faults] in
            if isConnected { Self.run(pair, faults) }
            pair.isOver.store(true, ordering: .relaxed)
            close(client)
            close(server)
        }
    }

    private static func run(_ pair: Pair, _ faults: PublishFaults?) {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var answers = faults.map(FaultyAnswers.init)
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
                guard poll(&ends, 2, answers?.wait(now: now) ?? -1) >= 0 else { return }
            }
            if let late = answers?.due(now: now), !late.isEmpty { LoopbackListener.pass(late[...], to: pair.client) }
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
                if swallows { continue }
                if index == 1, let passed = answers?.take(chunk[..<count], now: now) {
                    LoopbackListener.pass(passed[...], to: pair.client)
                } else {
                    LoopbackListener.pass(chunk[..<count], to: ends[1 - index].fd)
                }
            }
        }
    }

    private static var now: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }
}
