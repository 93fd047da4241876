internal import EventLoop
internal import Network

/// Keeps one connection to Redis: connects, shakes hands, and begins again with a jittered pause when it is lost.
final class RedisConnector {
    /// A connection stands and the handshake is about to be sent on it.
    var onOpen: ((RedisConnection) -> Void)?
    /// Once each way: `up` with the connection, or what is wrong.
    var onState: ((RedisState, RedisConnection?) -> Void)?

    private let loop: EventLoop
    let endpoint: RedisEndpoint
    let limits: RedisLimits
    private var entry: [Step] = []
    private let steps: [Step]
    /// Our latest connection, as Redis names it.
    private var former: (id: String, address: String)?
    private var backoff: Backoff
    private var random = SystemRandomNumberGenerator()
    private var state: RedisState?
    private var connection: RedisConnection?
    /// Why the last handshake failed, where Redis answered and refused a write.
    private(set) var refusedWrite: RedisError?
    private var pause: LoopTimer?
    private var isStarted = false
    private var isClosed = false

    /// One command of the handshake. All are sent together, but for one that waits: it and what stands behind it are sent when
    /// all before it has been answered.
    private struct Step {
        let command: @Sendable () -> [String]
        let verdict: (Result<RedisValue, RedisError>) -> String?
        var waits = false
    }

    /// - Parameter last: the command whose answer makes the connection usable, `PING` say.
    init(
        loop: EventLoop, endpoint: RedisEndpoint, limits: RedisLimits, scripts: [RedisScript], checks: [RedisCheck],
        last: [String]
    ) {
        self.loop = loop
        self.endpoint = endpoint
        self.limits = limits
        backoff = Backoff(limit: limits.reconnectLimit)
        var steps: [Step] = []
        if let password = endpoint.password {
            entry.append(
                Self.step(
                    ["AUTH"] + (endpoint.user.map { [$0] } ?? []) + [password], "Redis refuses the password of its URL, or has none set"))
        }
        if endpoint.database != 0 {
            steps.append(Self.step(["SELECT", String(endpoint.database)], "there is no database \(endpoint.database)"))
        }
        for check in checks {
            steps.append(Step(command: check.command, verdict: check.verdict))
            steps += check.followUps.map { Step(command: $0.command, verdict: $0.verdict, waits: true) }
        }
        steps += scripts.map { Self.step(["SCRIPT", "LOAD", $0.source], "it cannot load the script \($0.name)") }
        steps.append(Self.step(last, "it refused \(last[0])"))
        self.steps = steps
    }

    private static func step(_ command: [String], _ complaint: String) -> Step {
        Step(command: { command }) { result in
            switch result {
            case .success: nil
            case .failure(let error): Self.isRefusal(error) ? error.description : "\(complaint): \(error)"
            }
        }
    }

    func start() {
        guard !isStarted, !isClosed else { return }
        isStarted = true
        connect()
    }

    /// What is in flight fails as `disconnected`; nothing is reported any more.
    func close() {
        isClosed = true
        pause?.cancel()
        pause = nil
        onState = nil
        onOpen = nil
        connection?.close()
        connection = nil
    }

    private func connect() {
        ByteStream.connect(loop: loop, host: endpoint.host, port: endpoint.port, timeout: limits.connectTimeout) { result in
            switch result {
            case .success(let stream) where self.isClosed: stream.close()
            case .success(let stream): self.shakeHands(stream)
            case .failure(let error): self.lost(.down(reason: error.description))
            }
        }
    }

    private func shakeHands(_ stream: ByteStream) {
        if let tls = endpoint.tls, !stream.startTLS(tls, host: endpoint.host) {
            stream.close()
            return lost(.down(reason: "no memory for TLS"))
        }
        let connection = RedisConnection(loop: loop, stream: stream, limits: limits)
        self.connection = connection
        connection.onEnd = { [unowned connection] in self.lost(.down(reason: self.words($0, connection))) }
        onOpen?(connection)
        // What the former handshake met holds until this one has ended: who asks between two attempts is told the same.
        var refused: RedisError?
        var failure: RedisState?
        for step in entry { connection.send(step.command()) { failure = failure ?? Self.judge($0, step) } }
        endFormer(connection)
        func ask(from first: Int) {
            let end = steps.dropFirst(first + 1).firstIndex(where: \.waits) ?? steps.count
            for index in first..<end {
                let step = steps[index]
                connection.send(step.command()) { result in
                    if case .failure(let error) = result, error.refusesWrites { refused = error }
                    if failure == nil { failure = Self.judge(result, step) }
                    guard index == end - 1 else { return }
                    // A connection that has ended answers nothing more.
                    if end < self.steps.count, self.connection === connection, !Self.hasEnded(result) { return ask(from: end) }
                    self.refusedWrite = refused
                    self.finishHandshake(connection, failure)
                }
            }
        }
        ask(from: 0)
    }

    private static func hasEnded(_ result: Result<RedisValue, RedisError>) -> Bool {
        switch result {
        case .success, .failure(.server): false
        case .failure: true
        }
    }

    /// Why a connection ended; where nothing was heard on it, with what may be wrong about the way to speak to it.
    private func words(_ reason: String, _ connection: RedisConnection) -> String {
        guard connection.isSilent, !reason.contains("TLS"), !reason.contains("certificate") else { return reason }
        return endpoint.tls == nil
            ? "\(reason), before any answer (a port that speaks TLS wants rediss://)"
            : "\(reason), before any answer (does this port speak TLS?)"
    }

    /// Lets Redis close the connection before this one, if it still holds it: what that one brings late must not be done
    /// behind what this one brings. Id and address together name no other, on another server either. A Redis that does not
    /// allow it is used all the same.
    private func endFormer(_ connection: RedisConnection) {
        if let former { connection.send(["CLIENT", "KILL", "ID", former.id, "ADDR", former.address]) { _ in } }
        connection.send(["CLIENT", "INFO"]) { result in
            guard let text = (try? result.get())?.text else { return }
            var fields: [Substring: Substring] = [:]
            for field in text.split(separator: " ") {
                let parts = field.split(separator: "=", maxSplits: 1)
                if parts.count == 2 { fields[parts[0]] = parts[1] }
            }
            if let id = fields["id"], let address = fields["addr"] { self.former = (String(id), String(address)) }
        }
    }

    private static func judge(_ result: Result<RedisValue, RedisError>, _ step: Step) -> RedisState? {
        guard let complaint = step.verdict(result) else { return nil }
        if case .failure(let error) = result, isRefusal(error) { return .refused(reason: words(error, step)) }
        // Loading its data, or gone in the middle: that passes. All else is a matter for whoever set it up.
        if case .failure(let error) = result, error.isOutage { return .down(reason: error.description) }
        return .refused(reason: complaint)
    }

    /// What was refused, by the command's name: its arguments may be a password or a script.
    private static func words(_ error: RedisError, _ step: Step) -> String {
        guard case .server(let text) = error, text.hasPrefix("NOPERM") else { return error.description }
        return "\(error): \(step.command()[0])"
    }

    private static func isRefusal(_ error: RedisError) -> Bool {
        guard case .server(let text) = error else { return false }
        return ["NOAUTH", "NOPERM", "WRONGPASS", "MOVED"].contains { text.hasPrefix($0) }
    }

    private func finishHandshake(_ connection: RedisConnection, _ failure: RedisState?) {
        guard self.connection === connection, !isClosed else { return }
        if let failure {
            connection.close()
            lost(failure)
        } else {
            backoff.reset()
            state = .up
            onState?(.up, connection)
        }
    }

    private func lost(_ reason: RedisState) {
        guard !isClosed else { return }
        connection = nil
        if case .refused = reason { backoff.slowDown() }
        report(reason)
        // A report may have closed us.
        guard !isClosed else { return }
        pause = loop.timer(after: backoff.delay(using: &random)) {
            self.pause = nil
            self.connect()
        }
    }

    private func report(_ new: RedisState) {
        switch (state, new) {
        case (.down, .down), (.refused, .refused): return
        default:
            state = new
            onState?(new, nil)
        }
    }
}
