import EventLoop
import Network
import TestSupport
import Testing

/// Keeps what arrives; tells when it has seen enough or the end.
private final class Recorder: ByteStreamHandler {
    var bytes: [UInt8] = []
    var closures: [StreamClosure] = []
    var drains = 0
    var onBytes: (() -> Void)?
    var onClosed: (() -> Void)?

    func received(_ span: Span<UInt8>) {
        for index in span.indices { bytes.append(span[index]) }
        onBytes?()
    }
    func drained() { drains += 1 }
    func closed(_ reason: StreamClosure) {
        closures.append(reason)
        onClosed?()
    }
}

private actor Pair: LoopActor {
    nonisolated let loop: EventLoop
    private var listener: Listener?
    private var server: ByteStream?
    private let serverSide = Recorder()
    private let clientSide = Recorder()

    init() {
        loop = EventLoop(name: "network")
        loop.start()
    }

    private var client: ByteStream?

    func connected() async throws -> ByteStream {
        let listener = try Listener(loop: loop, address: "127.0.0.1", port: 0)
        self.listener = listener
        listener.onAccept = { stream in
            self.server = stream
            stream.handler = self.serverSide
            stream.resumeReading()
        }
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            ByteStream.connect(loop: loop, host: "localhost", port: listener.port, timeout: .seconds(60)) { result in
                switch result {
                case .success(let stream):
                    stream.handler = self.clientSide
                    stream.resumeReading()
                    self.client = stream
                    done.resume()
                case .failure(let error):
                    done.resume(throwing: error)
                }
            }
        }
        return try #require(client)
    }

    /// Writes chunks of many sizes to a reader that begins late, in several turns; answers whether all came, in order.
    func flood(chunks: Int) async throws -> (same: Bool, drains: Int, address: String?) {
        let client = try await connected()
        client.pauseReading()
        let address = client.peerAddress
        while server == nil { await turn() }
        var expected: [UInt8] = []
        for number in 0..<chunks {
            let chunk = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: (number * 977) % 5_000)
            expected += chunk
            server?.write([UInt8(truncatingIfNeeded: number)], chunk)
            expected.insert(UInt8(truncatingIfNeeded: number), at: expected.count - chunk.count)
            if number % 100 == 0 { await turn() }
        }
        await withCheckedContinuation { done in
            clientSide.onClosed = { done.resume() }
            server?.closeAfterFlush()
            client.resumeReading()
        }
        loop.stop()
        return (clientSide.bytes == expected && clientSide.closures == [.peer], serverSide.drains, address)
    }

    private func turn() async {
        await withCheckedContinuation { done in _ = loop.timer(after: .milliseconds(1)) { done.resume() } }
    }

    /// What two writes of one turn and the close look like from the other side.
    func echo() async throws -> [UInt8] {
        let client = try await connected()
        await withCheckedContinuation { done in
            serverSide.onBytes = { if self.serverSide.bytes.count == 4 { done.resume() } }
            client.write([1, 2])
            client.write([3, 4])
        }
        let ended = await withCheckedContinuation { done in
            serverSide.onClosed = { done.resume(returning: self.serverSide.bytes) }
            client.close()
            client.close()
            client.write([5])
        }
        loop.stop()
        return ended
    }

    func refused() async throws -> NetworkError? {
        let held = try HeldPort()
        defer { withExtendedLifetime(held) { loop.stop() } }
        return await withCheckedContinuation { done in
            ByteStream.connect(loop: loop, host: "127.0.0.1", port: held.number, timeout: .seconds(60)) { result in
                if case .failure(let error) = result { done.resume(returning: error) } else { done.resume(returning: nil) }
            }
        }
    }

    func taken() async -> String? {
        defer { loop.stop() }
        do {
            let first = try Listener(loop: loop, address: "127.0.0.1", port: 0)
            do throws(NetworkError) {
                _ = try Listener(loop: loop, address: "127.0.0.1", port: first.port)
                return nil
            } catch { return error.description }
        } catch { return nil }
    }
}

@Suite struct ByteStreamTests {
    @Test func bytesArriveInOrderThroughAFullSocket() async throws {
        let result = try await Pair().flood(chunks: 3_000)
        #expect(result.same)
        #expect(result.drains >= 1)
        #expect(result.address == "127.0.0.1")
    }

    @Test func writesOfOneTurnArriveAndClosingTwiceIsOnce() async throws {
        #expect(try await Pair().echo() == [1, 2, 3, 4])
    }

    @Test func aRefusedConnectionSaysWhereAndWhy() async throws {
        let error = try await Pair().refused()
        #expect(error?.description.contains("connection refused") == true)
    }

    @Test func aTakenPortSaysSo() async {
        #expect(await Pair().taken()?.contains("address already in use") == true)
    }
}
