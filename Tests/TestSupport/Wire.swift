internal import Foundation
internal import Synchronization

/// A TCP proxy on loopback between a client and a server, whose connections can die without a word, or lose what a Redis publishes.
public final class Wire: Sendable {
    public let port: Int
    private let listener: Int32
    private let target: Int
    private let faults: PublishFaults?
    private let pairs = Mutex<[Pair]>([])

    public struct NotStarted: Error {}

    /// Two connected sockets; a thread carries what comes on either to the other.
    private final class Pair: Sendable {
        let client: Int32
        let server: Int32
        let swallows = Atomic(false)

        init(_ client: Int32, _ server: Int32) {
            self.client = client
            self.server = server
        }
    }

    /// - Parameter faults: what becomes of messages that a Redis at the other end publishes; nil: they pass.
    public init(to target: Int, faults: PublishFaults? = nil) throws {
        self.target = target
        self.faults = faults
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
        Thread.detachNewThread { [faults] in
            if connected { Self.run(pair, faults) }
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
            guard poll(&ends, 2, answers?.wait(now: now) ?? -1) >= 0 else { return }
            if let late = answers?.due(now: now), !late.isEmpty { pass(late[...], to: pair.client) }
            for (index, end) in ends.enumerated() where end.revents != 0 {
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
                    pass(passed[...], to: pair.client)
                } else {
                    pass(chunk[..<count], to: ends[1 - index].fd)
                }
            }
        }
    }

    private static var now: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    private static func pass(_ bytes: ArraySlice<UInt8>, to end: Int32) {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(end, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
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
