import EventLoop
import TestSupport
import Testing

@testable import HTTPClient

private func push(_ standIn: APNsStandIn, _ token: String, timeout: Duration = .seconds(60)) -> HTTPClientRequest {
    HTTPClientRequest(
        method: "POST", url: "\(standIn.url)/3/device/\(token)", headers: [("apns-topic", "t"), ("apns-push-type", "alert")],
        body: Array(#"{"aps":{}}"#.utf8), timeout: timeout)
}

@Suite(.blocking, .timeLimit(.minutes(10))) struct HTTPClientTests {
    private func configuration(_ standIn: APNsStandIn) -> HTTPClientConfiguration {
        var configuration = HTTPClientConfiguration()
        configuration.caFile = standIn.caFile
        return configuration
    }

    private func desk(_ configuration: HTTPClientConfiguration) async -> Desk {
        let desk = Desk()
        await desk.open(configuration)
        return desk
    }

    private func fault(_ desk: Desk, _ standIn: APNsStandIn, _ text: String) async {
        let request = HTTPClientRequest(method: "POST", url: "\(standIn.url)/fault", body: Array(text.utf8))
        #expect((try? await desk.send(request).get().status) == 200)
    }

    @Test func speaksHTTP2OverTLSWithItsOwnCA() async throws {
        let standIn = try APNsStandIn()
        let desk = await desk(configuration(standIn))
        let health = try await desk.send(HTTPClientRequest(url: "\(standIn.url)/health")).get()
        #expect(health.status == 200 && health.header("Content-Type") == "application/json" && !health.body.isEmpty)
        let refused = try await desk.send(push(standIn, "a1")).get()
        #expect(refused.status == 403 && String(decoding: refused.body, as: UTF8.self).contains("MissingProviderToken"))
        #expect(refused.header("apns-id")?.count == 36)
        await desk.close()
    }

    @Test func aThousandAtOnceShareTheConnections() async throws {
        let standIn = try APNsStandIn()
        let desk = await desk(configuration(standIn))
        let results = await desk.sendAll((0..<1000).map { push(standIn, "\($0)") })
        #expect(results.count == 1000)
        #expect(results.allSatisfy { (try? $0.get().status) == 403 })
        #expect(await desk.inFlight == 0)
        await desk.close()
    }

    @Test func everyRequestHasADeadline() async throws {
        let standIn = try APNsStandIn()
        let desk = await desk(configuration(standIn))
        await fault(desk, standIn, #"{"kind":"silent","count":1}"#)
        let watch = Standstill()
        #expect(await desk.send(push(standIn, "a1", timeout: .milliseconds(300))).failure == .timedOut)
        #expect(watch.end() < 5)
        #expect(try await desk.send(push(standIn, "a1")).get().status == 403)
        await desk.close()
    }

    @Test func aBrokenConnectionIsSaidAndTheNextRequestHasANewOne() async throws {
        let standIn = try APNsStandIn()
        let desk = await desk(configuration(standIn))
        await fault(desk, standIn, #"{"kind":"reset","count":5}"#)
        guard case .disconnected = await desk.send(push(standIn, "a1")).failure else {
            Issue.record("a reset is a disconnection")
            return
        }
        await fault(desk, standIn, #"{"kind":"reset","count":0}"#)
        #expect(try await desk.send(push(standIn, "a1")).get().status == 403)
        await fault(desk, standIn, #"{"kind":"goaway","count":1}"#)
        // Whether curl repeats what stood above the last stream itself, or says that the connection is gone: it ends.
        let result = await desk.send(push(standIn, "a1"))
        if case .success(let answer) = result { #expect(answer.status == 403) }
        #expect(try await desk.send(push(standIn, "a1")).get().status == 403)
        await desk.close()
    }

    @Test func trustsOnlyItsCA() async throws {
        let standIn = try APNsStandIn()
        let desk = await desk(HTTPClientConfiguration())
        guard case .insecure = await desk.send(push(standIn, "a1")).failure else {
            Issue.record("a certificate of an unknown CA was trusted")
            return
        }
        await desk.close()
    }

    @Test func nobodyThere() async throws {
        let desk = await desk(HTTPClientConfiguration())
        guard case .unreachable = await desk.send(HTTPClientRequest(url: "https://127.0.0.1:1/")).failure else {
            Issue.record("something answered on port 1")
            return
        }
        await desk.close()
    }

    @Test func plainHTTP() async throws {
        let standIn = try APNsStandIn()
        var configuration = HTTPClientConfiguration()
        configuration.http2 = false
        let desk = await desk(configuration)
        for _ in 0..<3 {
            #expect(try await desk.send(HTTPClientRequest(url: "\(standIn.plainURL)/health")).get().status == 200)
        }
        let deleted = try await desk.send(HTTPClientRequest(method: "DELETE", url: "\(standIn.plainURL)/received")).get()
        #expect(deleted.body == Array("[]".utf8))
        await desk.close()
    }

    /// The client asks for HTTP/2, the server has only HTTP/1.1: a content-length counts then.
    @Test func plainHTTPWhereHTTP2WasAskedFor() async throws {
        let standIn = try APNsStandIn()
        let desk = await desk(HTTPClientConfiguration())
        let answer = try await desk.send(HTTPClientRequest(url: "\(standIn.plainURL)/health", timeout: .seconds(10))).get()
        #expect(answer.status == 200 && !answer.body.isEmpty)
        await desk.close()
    }

    @Test func limits() async throws {
        let standIn = try APNsStandIn()
        var configuration = configuration(standIn)
        configuration.maximumAnswer = 5
        configuration.maximumInFlight = 3
        let desk = await desk(configuration)
        #expect(await desk.send(HTTPClientRequest(url: "\(standIn.url)/health")).failure == .answerTooLarge)
        let results = await desk.sendAll((0..<5).map { push(standIn, "\($0)") })
        #expect(results.filter { $0.failure == .overloaded }.count == 2)
        await desk.close()
    }

    @Test func aLineBreakInTheHeadIsRefused() async throws {
        let desk = await desk(HTTPClientConfiguration())
        for request in [
            HTTPClientRequest(url: "https://127.0.0.1:1/", headers: [("a", "b\r\nc: d")]),
            HTTPClientRequest(url: "https://127.0.0.1:1/\n"),
        ] {
            guard case .invalidRequest = await desk.send(request).failure else {
                Issue.record("a line break went through")
                continue
            }
        }
        guard case .invalidRequest = await desk.send(HTTPClientRequest(url: "ftp://127.0.0.1/")).failure else {
            Issue.record("another protocol went through")
            return
        }
        await desk.close()
    }

    @Test func closeEndsWhatIsUnderWay() async throws {
        let standIn = try APNsStandIn()
        let desk = await desk(configuration(standIn))
        await fault(desk, standIn, #"{"kind":"silent","count":10}"#)
        // `begin` answers once the client has the request.
        let pending = await desk.begin(push(standIn, "a1"))
        #expect(await desk.inFlight == 1)
        await desk.close()
        var results: [Result<HTTPClientResponse, HTTPClientError>] = []
        for await result in pending { results.append(result) }
        #expect(results.map(\.failure) == [.closed])
        #expect(await desk.send(push(standIn, "a1")).failure == .closed)
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
