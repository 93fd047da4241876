internal import EventLoop
internal import HTTP
internal import Models
internal import Network
internal import Settings

/// The port of operations, which the edge never routes: `/health/live`, `/health/ready`, `/metrics`. Loop thread only.
final class Operations<Values: SettingsGroup> {
    private let server: HTTPServer
    private let context: ServiceContext<Values>
    private let name: String

    init(context: ServiceContext<Values>, name: String) throws(NetworkError) {
        self.context = context
        self.name = name
        let process = context.process
        server = HTTPServer(
            loop: context.loop,
            listener: try Listener(loop: context.loop, address: process.operationsAddress, port: process.operationsPort))
        let router = RESTRouter(loop: context.loop, metrics: Metrics())
        router.on("GET", "/health/live", .open) { $0.respond(.json(#"{"live":true}"#)) }
        router.on("GET", "/health/ready", .open) { [weak self] in self?.answerReady($0) }
        router.on("GET", "/metrics", .open) { call in context.scrape { call.respond(metricsResponse($0)) } }
        server.onRequest = { router.handle($0, $1) }
    }

    var port: Int { server.port }

    func close() { server.close() }

    /// Ready means that this process can do its work. Its groups in Kafka have given it its part, be it none: before, an event would wait
    /// for them. A dependency that is away later shows, and changes nothing.
    private func answerReady(_ call: RESTCall) {
        let isReady = context.isStarted && !context.isDraining && context.dependencies.haveGroupsJoined
        var dependencies: [String] = []
        for (dependency, state, reason) in context.dependencies.states {
            let text =
                switch state {
                case .up: #"{"up":true}"#
                case .starting: #"{"up":false}"#
                case .down(let since):
                    #"{"up":false,"since":"\#(Timestamp.text(since))","reason":\#(quoted(reason))}"#
                }
            dependencies.append("\"\(dependency.rawValue)\":\(text)")
        }
        call.respond(
            .json(
                "{\"ready\":\(isReady),\"draining\":\(context.isDraining),\"service\":\"\(name)\","
                    + "\"instance\":\"\(context.instance)\",\"version\":\"\(Version.text)\","
                    + "\"dependencies\":{\(dependencies.joined(separator: ","))}}", status: isReady ? 200 : 503))
    }
}

private func quoted(_ text: String) -> String {
    var writer = JSONWriter(capacity: text.utf8.count + 2)
    writer.string(text)
    return String(decoding: writer.take(), as: UTF8.self)
}

private func metricsResponse(_ metrics: MetricsSnapshot) -> HTTPResponse {
    HTTPResponse(
        status: 200, headers: [(name: "Content-Type", value: "text/plain; version=0.0.4; charset=utf-8")],
        body: metrics.text())
}
