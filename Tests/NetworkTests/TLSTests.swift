import COpenSSL
import EventLoop
import Network
import TestSupport
import Testing

private final class Side: ByteStreamHandler {
    var bytes: [UInt8] = []
    var onBytes: () -> Void = {}
    var onClosed: (StreamClosure) -> Void = { _ in }

    func received(_ span: Span<UInt8>) {
        for index in span.indices { bytes.append(span[index]) }
        onBytes()
    }
    func drained() {}
    func closed(_ reason: StreamClosure) { onClosed(reason) }
}

private actor Exchange: LoopActor {
    nonisolated let loop: EventLoop
    fileprivate let client = Side()
    fileprivate let server = Side()
    private var listener: Listener?

    init() {
        loop = EventLoop(name: "tls")
        loop.start()
    }

    /// The server echoes what it gets; answers whether all came back, or how the client's stream ended before that.
    func echo(
        _ bytes: [UInt8], server context: TLSContext, client clientContext: TLSContext, host: String, leavesErrors: Bool = false
    ) async throws -> String {
        let listener = try Listener(loop: loop, address: "127.0.0.1", port: 0)
        listener.onAccept = { stream in
            stream.handler = self.server
            guard stream.startTLS(context) else { return stream.close() }
            self.server.onBytes = {
                if leavesErrors {
                    let nothing = BIO_new(BIO_s_mem())
                    _ = PEM_read_bio_X509(nothing, nil, nil, nil)
                    BIO_free(nothing)
                }
                stream.write(self.server.bytes)
                self.server.bytes = []
            }
            stream.resumeReading()
        }
        defer { loop.stop() }
        return await withCheckedContinuation { done in
            ByteStream.connect(loop: loop, host: "127.0.0.1", port: listener.port, timeout: .seconds(60)) { result in
                guard case .success(let stream) = result else { return done.resume(returning: "not connected") }
                stream.handler = self.client
                guard stream.startTLS(clientContext, host: host) else { return done.resume(returning: "no session") }
                stream.write(bytes)  // before the handshake is done: it waits
                stream.resumeReading()
                var isDone = false
                self.client.onBytes = {
                    guard self.client.bytes.count == bytes.count, !isDone else { return }
                    isDone = true
                    done.resume(returning: self.client.bytes == bytes ? "same" : "other")
                }
                self.client.onClosed = { reason in
                    if !isDone { done.resume(returning: reason.reason) }
                    isDone = true
                }
            }
        }
    }
}

extension Exchange {
    /// The client writes so much that several records arrive at once; the server closes at the first piece, and answers how often
    /// it was told of more after that, and whether it was told of the end once.
    func closeAtOnce(_ bytes: [UInt8], server context: TLSContext, client clientContext: TLSContext) async throws -> [Int] {
        let listener = try Listener(loop: loop, address: "127.0.0.1", port: 0)
        defer { loop.stop() }
        return await withCheckedContinuation { done in
            var (pieces, ends) = (0, 0)
            listener.onAccept = { stream in
                stream.handler = self.server
                guard stream.startTLS(context) else { return stream.close() }
                self.server.onBytes = {
                    pieces += 1
                    stream.close()
                }
                self.server.onClosed = { _ in
                    ends += 1
                    self.loop.timer(after: .milliseconds(50)) { done.resume(returning: [pieces, ends]) }
                }
                stream.resumeReading()
            }
            ByteStream.connect(loop: loop, host: "127.0.0.1", port: listener.port, timeout: .seconds(5)) { result in
                guard case .success(let stream) = result else { return done.resume(returning: []) }
                stream.handler = self.client
                guard stream.startTLS(clientContext, host: "localhost") else { return done.resume(returning: []) }
                stream.write(bytes)
                stream.resumeReading()
            }
        }
    }
}

@Suite(.blocking) struct TLSTests {
    private let certificate: TestCertificate
    private let server: TLSContext
    private let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    /// What fails on this thread for others (a forged token's signature, a file without a certificate) leaves errors in OpenSSL's queue.
    @Test func theErrorsOfOthersAreNotTakenForItsOwn() async throws {
        let client = try TLSContext(clientTrusting: certificate.certificate)
        #expect(try await Exchange().echo(bytes, server: server, client: client, host: "localhost", leavesErrors: true) == "same")
    }

    init() throws {
        certificate = try TestCertificate()
        server = try TLSContext(serverCertificate: certificate.certificate, key: certificate.key)
    }

    @Test(arguments: ["localhost", "127.0.0.1"])
    func bytesComeBackThroughTLS(host: String) async throws {
        let client = try TLSContext(clientTrusting: certificate.certificate)
        #expect(try await Exchange().echo(bytes, server: server, client: client, host: host) == "same")
    }

    /// What is deciphered lies in one buffer of the loop: whoever closes hears no more of it.
    @Test func aStreamThatHasClosedHearsNoMore() async throws {
        let client = try TLSContext(clientTrusting: certificate.certificate)
        #expect(try await Exchange().closeAtOnce(bytes, server: server, client: client) == [1, 1])
    }

    @Test func aNameThatTheCertificateDoesNotBearIsRefused() async throws {
        let client = try TLSContext(clientTrusting: certificate.certificate)
        #expect(
            try await Exchange().echo([1], server: server, client: client, host: "other.example")
                == "its certificate is not trusted: hostname mismatch")
    }

    @Test func anAuthorityThatIsNotTrustedIsRefused() async throws {
        let client = try TLSContext(clientTrusting: nil)
        #expect(
            try await Exchange().echo([1], server: server, client: client, host: "localhost")
                == "its certificate is not trusted: self-signed certificate")
    }

    @Test func aMissingFileIsNamed() {
        #expect(throws: TLSError.self) { try TLSContext(serverCertificate: "/nowhere.pem", key: "/nowhere.key") }
    }
}
