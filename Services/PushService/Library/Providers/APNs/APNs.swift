internal import EventLoop
internal import HTTPClient
internal import Models
internal import ServiceRuntime
internal import Store

/// Apple's push service. Its destinations are its hosts: devices of the sandbox may be at another one. Loop thread only.
final class APNs: PushProvider {
    let name = ProviderName.apns
    let credentialSettings: StaticString = "APNS_KEY_FILE, APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC"
    private let loop: EventLoop
    private let settings: APNsSettings
    private let credentials: ProviderCredentials
    private let log: Log
    private let refusals: Labeled<APNsReason, Counter>
    /// Seconds since 1970.
    private let clock: () -> Int64
    /// By destination.
    private var clients: [String: HTTPClient] = [:]

    init(
        loop: EventLoop, settings: APNsSettings, credentials: ProviderCredentials, log: Log, metrics: Metrics,
        clock: @escaping () -> Int64 = { EventLoop.wallClock() / 1000 }
    ) {
        self.loop = loop
        self.settings = settings
        self.credentials = credentials
        self.log = log
        self.clock = clock
        refusals = metrics.counter(
            "carillon_push_refusals_total", "Answers of APNs other than 200, by its reason.", by: "reason", APNsReason.self)
    }

    var maximumInFlight: Int { settings.maximumInFlight }
    var firstDestination: String { settings.url }

    func destination(of device: Device) -> String { settings.url(for: device) }

    func encode(_ message: PushMessage, for device: Device) throws(DeadLetter) -> [UInt8] {
        guard let payload = APNsPayload.encode(message.texts) else {
            throw DeadLetter(.tooLarge, "the type leaves no room in a payload of 4 KB")
        }
        return payload
    }

    func send(_ body: [UInt8], of message: PushMessage, to device: Device, reply: @escaping (ProviderAnswer) -> Void) {
        let authorization: String
        do {
            authorization = try credentials.authorization(now: clock())
        } catch {
            // The key was read at the start; that it cannot sign now is nothing that a record could be blamed for.
            log.error("a provider token cannot be signed", ["reason": .error(error)])
            return reply(ProviderAnswer(.credentialsRefused))
        }
        let url = settings.url(for: device)
        let request = APNsRequest(
            url: url, topic: settings.topic(for: device), timeout: settings.timeout, authorization: authorization)
        client(at: url).send(request.request(message, body, to: device)) { reply(self.answer($0, to: authorization)) }
    }

    func greet(_ destination: String, reply: @escaping (FailureKind?) -> Void) {
        client(at: destination).send(HTTPClientRequest(url: "\(destination)/", timeout: settings.timeout)) { result in
            switch result {
            case .success(let response): reply(response.status < 500 ? nil : .unavailable)
            case .failure(.unreachable), .failure(.insecure): reply(.unreachable)
            case .failure: reply(.interrupted)
            }
        }
    }

    func close() {
        for client in clients.values { client.close() }
        clients = [:]
    }

    private func client(at destination: String) -> HTTPClient {
        if let client = clients[destination] { return client }
        var configuration = HTTPClientConfiguration()
        configuration.caFile = settings.caFile
        configuration.maximumConnections = settings.maximumConnections
        configuration.maximumInFlight = settings.maximumInFlight
        configuration.silence = settings.timeout
        let client = HTTPClient(loop: loop, configuration: configuration)
        clients[destination] = client
        return client
    }

    private func answer(_ result: Result<HTTPClientResponse, HTTPClientError>, to authorization: String) -> ProviderAnswer {
        switch result {
        case .success(let response):
            let answer = APNsAnswer(status: response.status, body: response.body, retryAfter: response.header("retry-after"))
            if answer.status != 200 { refusals[answer.knownReason].increment() }
            if answer.meaning == .credentialsExpired { credentials.refused(authorization, now: clock()) }
            return ProviderAnswer(answer.meaning, reason: answer.knownReason.rawValue)
        case .failure(.unreachable), .failure(.insecure): return ProviderAnswer(.providerFailed(.unreachable))
        case .failure(.invalidRequest): return ProviderAnswer(.ownFault(.rejectedByProvider))
        case .failure: return ProviderAnswer(.providerFailed(.interrupted))
        }
    }
}
