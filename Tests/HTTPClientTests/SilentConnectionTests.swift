import EventLoop
import Glibc
import TestSupport
import Testing

@testable import HTTPClient

@Suite(.blocking, .timeLimit(.minutes(5))) struct SilentConnectionTests {
    private let standIn: APNsStandIn
    private let wire: Wire
    private let desk = Desk()

    init() async throws {
        standIn = try APNsStandIn()
        wire = try Wire(to: standIn.port)
        var configuration = HTTPClientConfiguration()
        configuration.caFile = standIn.caFile
        configuration.silence = .seconds(7)
        await desk.open(configuration)
    }

    private func ask(timeout: Duration) -> HTTPClientRequest {
        HTTPClientRequest(url: "https://127.0.0.1:\(wire.port)/health", timeout: timeout)
    }

    /// A proxy acknowledges what is sent and passes nothing on: TCP sees nothing wrong.
    @Test func aRequestThatTimedOutTakesItsConnectionOutOfUse() async throws {
        #expect(try await desk.send(ask(timeout: .seconds(60))).get().status == 200)
        wire.silence(.swallows)
        // One that waits much longer keeps the connection in use.
        let patient = await desk.begin(ask(timeout: .seconds(600)))
        guard case .failure(.timedOut) = await desk.send(ask(timeout: .milliseconds(300))) else {
            Issue.record("it was answered")
            return
        }
        for _ in 0..<3 { #expect(try await desk.send(ask(timeout: .seconds(60))).get().status == 200) }
        #expect(wire.accepted == 2)
        #expect(await desk.inFlight == 1)
        await desk.close()
        var answers = patient.makeAsyncIterator()
        guard case .failure(.closed) = await answers.next() else {
            Issue.record("it was answered")
            return
        }
    }

    /// One request that is never answered is no reason to lose what others wait for.
    @Test func othersOnThatConnectionKeepTheirAnswers() async throws {
        let fault = HTTPClientRequest(
            method: "POST", url: "\(standIn.url)/fault", body: Array(#"{"kind":"slow","delayMs":1500,"count":1,"prefix":"5"}"#.utf8))
        #expect(try await desk.send(fault).get().status == 200)
        func push(_ token: String, _ timeout: Duration) -> HTTPClientRequest {
            HTTPClientRequest(method: "POST", url: "https://127.0.0.1:\(wire.port)/3/device/\(token)", body: [123, 125], timeout: timeout)
        }
        let slow = await desk.begin(push("5", .seconds(60)))
        let silent = HTTPClientRequest(
            method: "POST", url: "\(standIn.url)/fault", body: Array(#"{"kind":"silent","count":1,"prefix":"6"}"#.utf8))
        #expect(try await desk.send(silent).get().status == 200)
        guard case .failure(.timedOut) = await desk.send(push("6", .milliseconds(300))) else {
            Issue.record("it was answered")
            return
        }
        var answers = slow.makeAsyncIterator()
        #expect(try await answers.next()?.get().status == 403)
        await desk.close()
    }

    /// Packets that are dropped: the kernel notices them, on an idle connection by its probes.
    @Test func theKernelLimitsTheSilenceOfAPeer() async throws {
        #expect(try await desk.send(ask(timeout: .seconds(60))).get().status == 200)
        let descriptor = try #require((3..<20_000).first { Self.peer(of: $0) == wire.port })
        #expect(Self.option(descriptor, SOL_SOCKET, SO_KEEPALIVE) == 1)
        #expect(Self.option(descriptor, Int32(IPPROTO_TCP), 18) == 7_000)  // TCP_USER_TIMEOUT of linux/tcp.h
        let idle = Self.option(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE)
        #expect(idle + Self.option(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL) * 3 <= 7)
        await desk.close()
    }

    private static func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, level, name, &value, &length) == 0 ? value : -1
    }

    private static func peer(of descriptor: Int32) -> Int? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let found = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) == 0 }
        }
        return found ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
