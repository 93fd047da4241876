import EventLoop
import HTTPClient
import Settings
import Store
import Synchronization
import Testing

@testable import Carillonctl

/// What the doctor makes of what it sees, beyond a deployment that is well.
@Suite struct FindingsTests {
    private func examination(_ outcome: StoreExamination.Outcome) -> StoreExamination {
        StoreExamination(place: "r:6379", outcome: outcome)
    }

    private func findings(
        durability: StoreExamination.Durability = .everyWrite, shards: StoreExamination.Shards = .same(64),
        writes: StoreExamination.Writes = .taken
    ) -> [Finding] {
        storeFindings(examination(.answers(.init(durability: durability, shards: shards, writes: writes))))
    }

    @Test func aFitStoreIsOkInEachThing() {
        #expect(
            findings() == [
                .ok("redis", "r:6379 answers"), .ok("redis eviction", "noeviction"),
                .ok("redis persistence", "appendonly yes, appendfsync always"), .ok("redis shards", "64"), .ok("redis writes", "are taken"),
            ])
        #expect(findings(shards: .none(expected: 64))[3] == .ok("redis shards", "64, nothing is stored yet"))
    }

    /// One thing that is wrong is one finding that fails, with what to do about it.
    @Test(arguments: [
        (
            StoreExamination.Durability.unknown, StoreExamination.Shards.same(64), StoreExamination.Writes.taken,
            "redis persistence", "it does not answer CONFIG GET"
        ),
        (.less(appendOnly: "no", sync: "always"), .same(64), .taken, "redis persistence", "appendonly no, appendfsync always: a crash"),
        (.everyWrite, .other(32, expected: 64), .taken, "redis shards", "was written with 32, and SHARDS is 64"),
        (.everyWrite, .other(nil, expected: 64), .taken, "redis shards", "was written with no number, and SHARDS is 64"),
        (.everyWrite, .unreadable, .taken, "redis shards", "cannot be read"),
        (.everyWrite, .same(64), .refused(reason: "full", .memory), "redis writes", "full"),
        (.everyWrite, .same(64), .refused(reason: "alone", .replicas), "redis writes", "alone"),
        (.everyWrite, .same(64), .refused(reason: "disk", .disk), "redis writes", "disk"),
        (.everyWrite, .same(64), .refused(reason: "ACL", .permission), "redis writes", "ACL"),
        (.everyWrite, .same(64), .unanswered(reason: "no answer in time"), "redis writes", "no answer in time"),
    ])
    func eachFaultIsOneFinding(
        _ durability: StoreExamination.Durability, _ shards: StoreExamination.Shards, _ writes: StoreExamination.Writes, _ name: String,
        _ words: String
    ) throws {
        let findings = findings(durability: durability, shards: shards, writes: writes)
        #expect(findings.count == 5)
        let failed = findings.filter { !$0.isWell }
        #expect(failed.count == 1)
        let first = try #require(failed.first)
        #expect(first.name == name && first.text.contains(words) && first.remedy?.isEmpty == false, "\(first)")
    }

    @Test func eachMistakeHasARemedyOfItsOwn() {
        let remedies = StoreExamination.Mistake.allCases.map { mistake in
            let (away, unfit) = (
                storeFindings(examination(.away(reason: "x", mistake))), storeFindings(examination(.unfit(reason: "x", mistake)))
            )
            #expect(away.count == 1 && unfit.count == 1 && !away[0].isWell && !unfit[0].isWell)
            #expect(away[0].text == "r:6379: x" && unfit[0].text == "r:6379 is not fit: x")
            #expect(away[0].remedy == unfit[0].remedy)
            return away[0].remedy
        }
        #expect(Set(remedies).count == StoreExamination.Mistake.allCases.count)
        #expect(storeFindings(examination(.away(reason: "x", nil)))[0].remedy == "start it, or set REDIS_URL")
        #expect(storeFindings(examination(.unfit(reason: "x", nil)))[0].remedy == "mend that in Redis or in REDIS_URL")
    }

    // MARK: The edge

    private static func answer(_ status: String, _ body: String = "{}") -> String {
        "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private func edgeFindings(
        _ answers: [String], _ values: [String: String] = ["TOKEN_SECRET": secret, "API_KEY": "0123456789abcdef"]
    ) async throws -> (findings: [Finding], requests: [String]) {
        let edge = try await ScriptedEdge(answers)
        let loop = EventLoop(name: "doctor")
        loop.start()
        defer {
            edge.loop.stop()
            loop.stop()
        }
        let url = try #require(ServiceURL("http://127.0.0.1:\(edge.port)", ports: ["http": 80]))
        let credentials = try DoctorCredentials(ControlSettings(environment: Environment(values)))
        let findings = await EdgeExamination(loop: loop, url: url, credentials: credentials).findings()
        return (findings, edge.requests.withLock { $0 })
    }

    @Test func eachDoorIsAskedWithItsCredential() async throws {
        let (findings, requests) = try await edgeFindings(Array(repeating: Self.answer("200 OK"), count: 5))
        #expect(findings.count == 5 && findings.allSatisfy { $0.verdict == .ok }, "\(findings)")
        #expect(requests.count == 5)
        #expect(requests[0].hasPrefix("GET /v1/inbox?limit=1 ") && requests[0].lowercased().contains("authorization: bearer ey"))
        #expect(requests[1].hasPrefix("OPTIONS /v1/events ") && requests[1].lowercased().contains("x-api-key: 0123456789abcdef"))
    }

    /// A path that is asked only what it takes is answered to anybody: that it works is not known.
    @Test func withoutCredentialsOnlyThePathsAreTried() async throws {
        let (findings, requests) = try await edgeFindings(Array(repeating: Self.answer("204 No Content", ""), count: 5), [:])
        #expect(findings.count == 5 && findings.allSatisfy { $0.verdict == .warn }, "\(findings)")
        #expect(requests.allSatisfy { $0.hasPrefix("OPTIONS ") && !$0.lowercased().contains("authorization") })
        #expect(findings[0].remedy == "set TOKEN_SECRET to try what it guards" && findings[1].remedy == "set API_KEY to try what it guards")
    }

    @Test func aDoorThatRefusesIsToldWithItsWordsAndTheOthersAreTried() async throws {
        let (findings, _) = try await edgeFindings([
            Self.answer("401 Unauthorized", #"{"detail":"The signature does not match."}"#), Self.answer("403 Forbidden", "no JSON"),
            Self.answer("503 Service Unavailable", #"{"detail":"No server."}"#), Self.answer("200 OK"), Self.answer("404 Not Found"),
        ])
        try #require(findings.count == 5)
        #expect(findings.map(\.verdict) == [.fail, .fail, .fail, .ok, .fail])
        #expect(findings[0].text == "GET /v1/inbox was refused: The signature does not match.")
        #expect(findings[0].remedy?.hasPrefix("TOKEN_SECRET here is not what gateway has") == true)
        #expect(findings[1].text.hasSuffix("was refused: nothing more was said"))
        #expect(findings[1].remedy?.hasPrefix("API_KEY here is not what notification-service has") == true)
        #expect(findings[2].text.contains("answered 503: No server."))
        #expect(findings[2].remedy?.hasPrefix("is fanout-worker running and ready?") == true)
        #expect(findings[4].text.contains("answered 404"))
    }

    /// Where nobody is at the edge, it is said once.
    @Test func anEdgeThatGoesAwayIsOneFinding() async throws {
        let (findings, _) = try await edgeFindings([Self.answer("200 OK"), ""])
        #expect(findings.map(\.name) == ["edge to gateway", "edge"])
        #expect(findings.map(\.verdict) == [.ok, .fail])
    }

    // MARK: Services and policies

    @Test(arguments: [
        (500, "", "http://a:1/health/ready answered 500", "read its log"),
        (
            200, #"{"dependencies":{"redis":{"up":false},"kafka":{"up":false,"reason":"no broker"}}}"#,
            "http://a:1: kafka is down for it: no broker", "mend kafka and redis"
        ),
    ])
    func whatAServiceLacksIsTold(_ status: Int, _ body: String, _ text: String, _ remedy: String) {
        let answer = HTTPClientResponse(status: status, headers: [], body: Array(body.utf8))
        #expect(ServiceExamination.finding("gateway", "http://a:1", answer) == .fail("gateway", text, remedy))
    }

    @Test func aPolicyFileThatIsNotThereIsTold() {
        let finding = policyFinding("/proc/nothing.yaml")
        #expect(!finding.isWell && finding.text.hasPrefix("/proc/nothing.yaml: ") && finding.remedy?.contains("POLICIES") == true)
    }

    /// What comes from others may not steer a terminal.
    @Test func aLineHoldsNoControlCharacters() {
        #expect(Finding.fail("edge", "a\u{1b}[2Jb\nc", "mend it").line(width: 6) == "fail  edge    a\u{fffd}[2Jb\u{fffd}c; mend it")
    }

    /// A setting that cannot be used ends the command before anything is examined.
    @Test(arguments: [
        ["REDIS_URL": "http://127.0.0.1:1"], ["REDIS_URL": "redis://127.0.0.1:1/first"], ["SHARDS": "none"],
        ["REDIS_URL": "rediss://127.0.0.1:1", "REDIS_CA_FILE": "/proc/nothing.pem"], ["EDGE_URL": "edge"],
    ])
    func settingsThatCannotBeUsedAreNamed(_ values: [String: String]) async {
        let environment = ["KAFKA_BROKERS": "127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1"].merging(values) { $1 }
        let (status, written) = await carillonctl("doctor", "--no-policies", "--no-canary", environment: environment)
        #expect(status == Status.configuration, "\(written.out)\(written.error)")
        #expect(values.keys.contains { written.error.contains($0) }, "\(written.error)")
    }
}
