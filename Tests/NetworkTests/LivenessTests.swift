import CUV
import EventLoop
import Glibc
import TestSupport
import Testing

@testable import Network

private actor Acceptor: LoopActor {
    nonisolated let loop: EventLoop
    private var listener: Listener?
    private var stream: ByteStream?

    init() {
        loop = EventLoop(name: "liveness")
        loop.start()
    }

    func listen(silence seconds: Int = 35) throws -> Int {
        let listener = try Listener(loop: loop, address: "127.0.0.1", port: 0)
        listener.limitSilence(seconds: seconds)
        listener.limitSendBuffer(bytes: 40_000)
        self.listener = listener
        listener.onAccept = { self.stream = $0 }
        return listener.port
    }

    var hasStream: Bool { stream != nil }

    func spareSlowReader() { stream?.spareSlowReader() }

    func option(_ level: Int32, _ name: Int32) -> Int32 {
        var descriptor: uv_os_fd_t = -1
        guard let stream, uv_fileno(stream.raw, &descriptor) == 0 else { return -1 }
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, level, name, &value, &length) == 0 ? value : -1
    }

    func write(_ count: Int) { stream?.write([UInt8](repeating: 1, count: count)) }
    var unacknowledged: Int { stream?.secondsUnacknowledged ?? -1 }
}

@Suite(.blocking, .timeLimit(.minutes(10))) struct LivenessTests {
    private static let userTimeout: Int32 = 18  // TCP_USER_TIMEOUT of linux/tcp.h

    @Test func aNewcomerHasTheOptionsOfItsListener() async throws {
        let acceptor = Acceptor()
        let socket = try #require(RawSocket(port: try await acceptor.listen()))
        while await !acceptor.hasStream { try await Task.sleep(for: .milliseconds(2)) }
        let protocolTCP = Int32(IPPROTO_TCP)
        #expect(await acceptor.option(protocolTCP, TCP_NODELAY) == 1)
        #expect(await acceptor.option(SOL_SOCKET, SO_SNDBUF) == 80_000)
        #expect(await acceptor.option(SOL_SOCKET, SO_KEEPALIVE) == 1)
        let idle = await acceptor.option(protocolTCP, TCP_KEEPIDLE)
        let interval = await acceptor.option(protocolTCP, TCP_KEEPINTVL)
        let count = await acceptor.option(protocolTCP, TCP_KEEPCNT)
        #expect(idle + interval * count == 35)
        #expect(await acceptor.option(protocolTCP, Self.userTimeout) == 35_000)
        await acceptor.spareSlowReader()
        #expect(await acceptor.option(protocolTCP, Self.userTimeout) == 0)
        socket.close()
        acceptor.loop.stop()
    }

    @Test func aSlowReaderThatLivesIsNotSilent() async throws {
        let acceptor = Acceptor()
        let socket = try #require(RawSocket(port: try await acceptor.listen(), receiveBuffer: 4_096))
        while await !acceptor.hasStream { try await Task.sleep(for: .milliseconds(2)) }
        await acceptor.write(10_000_000)
        let watch = Standstill()
        for _ in 0..<30 {
            try await Task.sleep(for: .milliseconds(100))
            // While nothing runs here, nothing is acknowledged either.
            #expect(Double(await acceptor.unacknowledged) < 2 + watch.stood)
        }
        _ = watch.end()
        socket.close()
        acceptor.loop.stop()
    }
}
