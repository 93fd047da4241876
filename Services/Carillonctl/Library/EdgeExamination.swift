internal import EventLoop
internal import Foundation
internal import HTTPClient
internal import Settings

/// Asks the edge for one path of each service, with the doctor's own credentials. Where one is missing the path is asked what
/// it takes (OPTIONS), which nobody is refused for.
actor EdgeExamination: LoopActor {
    nonisolated let loop: EventLoop
    private let url: ServiceURL
    private let credentials: DoctorCredentials

    private enum Door { case token, key }

    private static let paths: [(service: String, door: Door, method: String, path: String)] = [
        ("gateway", .token, "GET", "/v1/inbox?limit=1"),
        // An event is sent by the canary; here the door is tried with none.
        ("notification-service", .key, "OPTIONS", "/v1/events"),
        ("fanout-worker", .key, "GET", "/v1/audiences/channel%3Acarillon-doctor/members?limit=1"),
        ("presence-service", .key, "GET", "/v1/presence?user=\(DoctorCredentials.person)"),
        ("push-service", .token, "GET", "/v1/devices"),
    ]

    init(loop: EventLoop, url: ServiceURL, credentials: DoctorCredentials) {
        self.loop = loop
        self.url = url
        self.credentials = credentials
    }

    func findings() async -> [Finding] {
        let client = HTTPClient(loop: loop)
        defer { client.close() }
        var findings: [Finding] = []
        for (service, door, method, path) in Self.paths {
            let header =
                door == .token ? credentials.token.map { ("authorization", "Bearer " + $0) } : credentials.key.map { ("x-api-key", $0) }
            let asked = header == nil ? "OPTIONS" : method
            let request = HTTPClientRequest(
                method: asked, url: url.description + path, headers: header.map { [(name: $0.0, value: $0.1)] } ?? [], timeout: .seconds(5))
            switch await ask(client, request) {
            case .success(let answer):
                findings.append(Self.finding(service, "\(asked) \(path.prefix { $0 != "?" })", door, hadCredential: header != nil, answer))
            case .failure(let error):
                let remedy =
                    "\(error)".contains("ertificate") ? "let this machine trust the edge's certificate" : "start it, or set EDGE_URL"
                return findings + [.fail("edge", "\(url): \(error)", remedy)]
            }
        }
        return findings
    }

    private static func finding(
        _ service: String, _ what: String, _ door: Door, hadCredential: Bool, _ answer: HTTPClientResponse
    ) -> Finding {
        let name = "edge to \(service)"
        let setting = door == .token ? Common.tokenSecret.name : Common.apiKey.name
        switch answer.status {
        case 200..<300 where hadCredential: return .ok(name, "\(what) is answered")
        case 200..<300:
            return .warn(name, "\(what) is answered; nothing was shown at its door", "set \(setting) to try what it guards")
        case 401, 403:
            return .fail(
                name, "\(what) was refused: \(problem(answer))", "\(setting) here is not what \(service) has (or its issuer, its audience)")
        default:
            return .fail(
                name, "\(what) answered \(answer.status): \(problem(answer))",
                "is \(service) running and ready? see /health/ready at its OPERATIONS_PORT, and the edge's backends")
        }
    }
}

/// Asks services' operations ports whether they are ready.
actor ServiceExamination: LoopActor {
    nonisolated let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    func findings(_ service: String, _ urls: [String]) async -> [Finding] {
        let client = HTTPClient(loop: loop)
        defer { client.close() }
        var findings: [Finding] = []
        for url in urls {
            switch await ask(client, HTTPClientRequest(url: url + "/health/ready", timeout: .seconds(5))) {
            case .success(let answer): findings.append(Self.finding(service, url, answer))
            case .failure(let error): findings.append(.fail(service, "\(url): \(error)", "start it, and read its log"))
            }
        }
        return findings
    }

    /// What `/health/ready` says of itself and of what it depends on.
    private struct Ready: Decodable {
        struct Dependency: Decodable {
            let up: Bool
            let reason: String?
        }
        let dependencies: [String: Dependency]
    }

    static func finding(_ service: String, _ url: String, _ answer: HTTPClientResponse) -> Finding {
        guard answer.status == 200 else {
            return .fail(service, "\(url)/health/ready answered \(answer.status)", "read its log")
        }
        let ready = try? JSONDecoder().decode(Ready.self, from: Data(answer.body))
        let away = (ready?.dependencies ?? [:]).filter { !$0.value.up }.sorted { $0.key < $1.key }
        guard let first = away.first else { return .ok(service, "ready at \(url)") }
        let reason = first.value.reason.map { ": " + $0 } ?? ""
        return .fail(service, "\(url): \(first.key) is down for it\(reason)", "mend \(away.map(\.key).joined(separator: " and "))")
    }
}

/// One request and its answer.
func ask(_ client: HTTPClient, _ request: HTTPClientRequest) async -> Result<HTTPClientResponse, HTTPClientError> {
    await withCheckedContinuation { done in client.send(request) { done.resume(returning: $0) } }
}

/// The words of a refusal (RFC 9457).
func problem(_ answer: HTTPClientResponse) -> String {
    struct Problem: Decodable { let detail: String? }
    return (try? JSONDecoder().decode(Problem.self, from: Data(answer.body)))?.detail ?? "nothing more was said"
}
