internal import Foundation
internal import Synchronization

/// A TCP proxy on loopback that carries only so many bytes a second to its server, over all connections together. What the server
/// answers comes back at once.
public final class SlowWire: Sendable {
    /// Where clients connect.
    public let port: Int
    /// Where the server listens.
    public let target: HeldPort

    private let listener: LoopbackListener
    private let pace = Mutex(Pace())

    private struct Pace {
        /// 0: no limit.
        var bytesPerSecond = 0
        /// When what was taken so far is through.
        var free = Date.distantPast
    }

    /// Larger pieces would let one connection hold up the others.
    private static let piece = 4 << 10

    public init() throws {
        target = try HeldPort()
        // What the kernel holds would seem to be through.
        listener = try LoopbackListener(receiveBuffer: Int32(Self.piece))
        port = listener.port
        listener.accept { [weak self] client in
            guard let self else { return false }
            join(client)
            return true
        }
    }

    deinit { listener.close() }

    /// From now on no more than this passes; 0: as much as comes.
    public func limit(bytesPerSecond: Int) { pace.withLock { $0.bytesPerSecond = bytesPerSecond } }

    private func join(_ client: Int32) {
        let (server, isConnected) = LoopbackListener.connect(to: target.number)
        guard isConnected else {
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
        while true {
            let count = recv(source, &chunk, chunk.count, 0)
            if count <= 0 { break }
            wait(count)
            guard LoopbackListener.pass(chunk[..<count], to: sink) else { break }
        }
        for end in [source, sink] { shutdown(end, Int32(SHUT_RDWR)) }
    }
}
