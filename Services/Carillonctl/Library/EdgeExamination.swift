internal import EventLoop
internal import HTTPClient
internal import Settings

/// Asks the edge for one path of each service. Nobody's credentials are needed: a service that answers 401 is there.
actor EdgeExamination: LoopActor {
    nonisolated let loop: EventLoop
    private let url: ServiceURL

    private static let paths = [
        ("gateway", "GET", "/v1/inbox"), ("notification-service", "POST", "/v1/events"),
        ("fanout-worker", "GET", "/v1/audiences/channel%3Adoctor/members"), ("presence-service", "GET", "/v1/presence"),
        ("push-service", "GET", "/v1/devices"),
    ]

    init(loop: EventLoop, url: ServiceURL) {
        self.loop = loop
        self.url = url
    }

    func findings() async -> [Finding] {
        let client = HTTPClient(loop: loop)
        defer { client.close() }
        var findings: [Finding] = []
        for (service, method, path) in Self.paths {
            let name = "edge to \(service)"
            switch await answer(client, method, url.description + path) {
            case .success(let answer) where answer.status == 401: findings.append(.ok(name, "\(method) \(path) is answered"))
            case .success(let answer):
                findings.append(
                    .fail(
                        name, "\(method) \(path) answered \(answer.status) instead of 401",
                        "is \(service) running and ready? see /health/ready at its OPERATIONS_PORT, and the edge's backends"))
            case .failure(let error):
                findings.append(.fail("edge", "\(url): \(error)", "start it, or set EDGE_URL"))
                return findings
            }
        }
        return findings
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
            switch await answer(client, "GET", url + "/health/ready") {
            case .success(let answer) where answer.status == 200: findings.append(.ok(service, "ready at \(url)"))
            case .success(let answer):
                findings.append(.fail(service, "\(url)/health/ready answered \(answer.status)", "read its log"))
            case .failure(let error): findings.append(.fail(service, "\(url): \(error)", "start it, and read its log"))
            }
        }
        return findings
    }
}

private func answer(
    _ client: HTTPClient, _ method: String, _ url: String
) async -> Result<HTTPClientResponse, HTTPClientError> {
    await withCheckedContinuation { done in
        client.send(HTTPClientRequest(method: method, url: url, timeout: .seconds(5))) { done.resume(returning: $0) }
    }
}
