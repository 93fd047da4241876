internal import Foundation
internal import Synchronization

/// A TCP proxy on loopback that carries only so many bytes a second to its server, over all connections together. What the server
/// answers comes back at once.
public final class SlowWire: Sendable {
    /// Where clients connect.
    public let port: Int
    /// Where the server listens.
    public let target: HeldPort

    private let listener: Int32
    private let pace = Mutex(Pace())

    private struct Pace {
        /// 0: no limit.
        var bytesPerSecond = 0
        /// When what was taken so far is through.
        var free = Date.distantPast
    }

    public struct NotStarted: Error {}

    /// Larger pieces would let one connection hold up the others.
    private static let piece = 4 << 10

    public init() throws {
        target = try HeldPort()
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        // Accepted sockets inherit it: what the kernel holds would seem to be through.
        var size = Int32(Self.piece)
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
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
                self.join(client)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// From now on no more than this passes; 0: as much as comes.
    public func limit(bytesPerSecond: Int) { pace.withLock { $0.bytesPerSecond = bytesPerSecond } }

    private func join(_ client: Int32) {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = Self.loopback(target.number)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard connected else {
            close(client)
            close(server)
            return
        }
        let back = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            Self.carry(from: server, to: client) { _ in }
            back.signal()
        }
        Thread.detachNewThread { [self] in
            Self.carry(from: client, to: server, after: wait)
            back.wait()
            close(client)
            close(server)
        }
    }

    /// Until the bytes may go.
    private func wait(_ count: Int) {
        let due = pace.withLock { pace in
            guard pace.bytesPerSecond > 0 else { return Date.distantPast }
            pace.free = max(pace.free, Date()) + Double(count) / Double(pace.bytesPerSecond)
            return pace.free
        }
        if due > Date() { Thread.sleep(until: due) }
    }

    private static func carry(from source: Int32, to sink: Int32, after wait: (Int) -> Void) {
        var chunk = [UInt8](repeating: 0, count: piece)
        carrying: while true {
            let count = recv(source, &chunk, chunk.count, 0)
            if count <= 0 { break }
            wait(count)
            var sent = 0
            while sent < count {
                let passed = chunk.withUnsafeBytes { send(sink, $0.baseAddress! + sent, count - sent, Int32(MSG_NOSIGNAL)) }
                if passed <= 0 { break carrying }
                sent += passed
            }
        }
        for end in [source, sink] { shutdown(end, Int32(SHUT_RDWR)) }
    }

    private static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port).bigEndian)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return address
    }
}
