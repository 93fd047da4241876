internal import EventLoop
internal import HTTPClient
internal import Models
internal import ServiceKafka
internal import ServiceRuntime
internal import Store

/// One push on its way to one device, until there is an outcome. Loop thread only.
final class Errand {
    enum Outcome {
        case accepted
        case unregistered(since: Int64?)
        case quarantine
        /// Again in so long; it need not be waited for.
        /// - Parameters:
        ///   - attempts: failures that count so far.
        ///   - isForDevice: nothing is to be sent to this device before.
        case parked(for: Duration, attempts: Int, isForDevice: Bool)
        case gaveUp(DeadLetterReason, APNsReason?, attempts: Int)
    }

    let message: PushMessage
    let device: Device
    let completion: (Outcome) -> Void
    var delivery: Delivery
    var sentAt: UInt64 = 0
    var authorization = ""
    private let work: Work

    /// - Parameter work: the batch that it belongs to, and is called off with. It does not know its errands: whoever carries one
    ///   holds it, and with it the batch.
    /// - Parameter attempts: failures that count, before it was parked.
    init(
        _ message: PushMessage, to device: Device, of work: Work, attempts: Int = 0, _ completion: @escaping (Outcome) -> Void
    ) {
        self.message = message
        self.device = device
        delivery = Delivery(attempts: attempts)
        self.work = work
        self.completion = completion
    }

    /// Nobody waits for it any more: another member of the group has the record now.
    var isCancelled: Bool { work.isCancelled }
}

/// Carries pushes to one host of APNs: high priority first, so many at a time, each again until there is an outcome, and none while
/// the provider is away. What fails for a reason of its own is not waited for: its outcome is to be parked. Loop thread only.
final class Courier {
    private let loop: EventLoop
    private let client: HTTPClient
    private let apns: APNsSettings
    /// `https://host:port`.
    private let url: String
    private let credentials: ProviderCredentials
    private let limits: RetryLimits
    private let instruments: Instruments
    private let log: Log
    private let dependency: DependencySource
    /// Seconds since 1970.
    private let clock: () -> Int64
    private var gate: ProviderGate
    private var waiting: [Priority: [Errand]] = [:]
    private var inFlight = 0
    private var gateTimer: LoopTimer?
    private var isClosed = false

    init(
        context: ServiceContext<PushSettings>, url: String, instruments: Instruments, credentials: ProviderCredentials,
        clock: @escaping () -> Int64 = { EventLoop.wallClock() / 1000 }
    ) {
        loop = context.loop
        apns = context.settings.apns
        limits = context.settings.retry
        log = context.log
        self.url = url
        self.instruments = instruments
        self.credentials = credentials
        self.clock = clock
        gate = ProviderGate(limits: limits)
        dependency = context.dependencies.source(.apns)
        var configuration = HTTPClientConfiguration()
        configuration.caFile = apns.caFile
        configuration.maximumConnections = apns.maximumConnections
        configuration.maximumInFlight = apns.maximumInFlight
        configuration.silence = apns.timeout
        client = HTTPClient(loop: context.loop, configuration: configuration)
    }

    func run(_ errand: Errand) {
        waiting[errand.message.priority, default: []].append(errand)
        scheduleTurn()
    }

    func close() {
        isClosed = true
        gateTimer?.cancel()
        gateTimer = nil
        waiting = [:]
        client.close()
    }

    // MARK: Sending

    private var isTurnScheduled = false

    /// What comes in one turn leaves together.
    private func scheduleTurn() {
        guard !isTurnScheduled else { return }
        isTurnScheduled = true
        loop.atTurnEnd {
            self.isTurnScheduled = false
            self.sendWaiting()
        }
    }

    private func sendWaiting() {
        while !isClosed, inFlight < apns.maximumInFlight, let priority = nextLane() {
            guard gate.admits(now: loop.now) else { break }
            send(waiting[priority, default: []].removeFirst())
        }
        armGate()
    }

    /// Whose first errand is next: by priority, or, while the gate is shut, the one that was tried least, so that the probe is
    /// not always the same one, which may be the only one that fails.
    private func nextLane() -> Priority? {
        for priority in Priority.allCases { waiting[priority]?.trimPrefix { $0.isCancelled } }
        let lanes = Priority.allCases.filter { waiting[$0]?.isEmpty == false }
        if gate.isOpen { return lanes.first }
        return lanes.min { (waiting[$0]?.first?.delivery.tries ?? 0) < (waiting[$1]?.first?.delivery.tries ?? 0) }
    }

    /// A question that needs no device: whether anybody is there at all. It also opens the connection for the first push.
    func greet() {
        let sentAt = loop.now
        client.send(HTTPClientRequest(url: "\(url)/", timeout: apns.timeout)) { result in
            guard !self.isClosed else { return }
            switch result {
            case .success(let response) where response.status < 500: self.tell(self.gate.good())
            case .success: self.failed(.unavailable, sentAt)
            case .failure(.unreachable), .failure(.insecure): self.failed(.unreachable, sentAt)
            case .failure: self.failed(.interrupted, sentAt)
            }
            self.scheduleTurn()
        }
    }

    private func failed(_ kind: FailureKind, _ sentAt: UInt64) {
        tell(gate.failed(kind, sentAt: sentAt, now: loop.now, random: Double.random(in: 0...1)))
    }

    private func armGate() {
        guard !isClosed, gateTimer == nil, let opensAt = gate.opensAt else { return }
        let pause = opensAt > loop.now ? opensAt - loop.now : 0
        gateTimer = loop.timer(after: .milliseconds(Int64(clamping: pause))) {
            self.gateTimer = nil
            self.gateIsDue()
        }
    }

    /// With nothing to send, a greeting is the probe; whether credentials are taken only a push can tell.
    private func gateIsDue() {
        if nextLane() == nil, case .closed = gate.state, gate.admits(now: loop.now) { return greet() }
        sendWaiting()
    }

    private func send(_ errand: Errand) {
        do {
            errand.authorization = try credentials.authorization(now: clock())
        } catch {
            // The key was read at the start; that it cannot sign now is nothing that a record could be blamed for.
            log.error("a provider token cannot be signed", ["reason": .error(error)])
            return answered(errand, .stopSending, reason: nil, retryAfter: nil)
        }
        if errand.delivery.tries > 0 { instruments.retries.increment() }
        errand.delivery.sent(goodAnswers: gate.goodAnswers)
        errand.sentAt = loop.now
        inFlight += 1
        let request = errand.message.request(
            to: errand.device, at: url, topic: apns.topic(for: errand.device), timeout: apns.timeout,
            authorization: errand.authorization)
        client.send(request) { result in
            self.inFlight -= 1
            guard !self.isClosed else { return }
            self.answered(errand, result)
            self.scheduleTurn()
        }
    }

    // MARK: Answers

    private func answered(_ errand: Errand, _ result: Result<HTTPClientResponse, HTTPClientError>) {
        switch result {
        case .success(let response):
            instruments.roundTrip.observe(milliseconds: loop.now - errand.sentAt)
            let answer = APNsAnswer(
                status: response.status, body: response.body, retryAfter: response.header("retry-after"))
            if answer.status != 200 { instruments.answers[answer.knownReason].increment() }
            answered(errand, answer.meaning, reason: answer.knownReason, retryAfter: answer.retryAfter)
        case .failure(let error):
            answered(errand, Courier.treatment(of: error), reason: nil, retryAfter: nil)
        }
    }

    private static func treatment(of error: HTTPClientError) -> Treatment {
        switch error {
        case .unreachable, .insecure: .retry(.unreachable)
        case .timedOut, .disconnected, .answerTooLarge, .overloaded, .closed: .retry(.interrupted)
        case .invalidRequest: .deadLetter(.rejectedByProvider)
        }
    }

    private func answered(_ errand: Errand, _ treatment: Treatment, reason: APNsReason?, retryAfter: Int?) {
        guard !errand.isCancelled else { return tell(observe(treatment, errand)) }
        let step = errand.delivery.answered(
            treatment, goodAnswers: gate.goodAnswers, retryAfter: retryAfter, limits: limits,
            random: Double.random(in: 0...1))
        tell(observe(treatment, errand))
        switch step {
        case .accepted: errand.completion(.accepted)
        case .unregistered(let since): errand.completion(.unregistered(since: since))
        case .quarantine: errand.completion(.quarantine)
        case .giveUp(let deadLetter):
            errand.completion(.gaveUp(deadLetter, reason, attempts: max(errand.delivery.tries, errand.delivery.attempts)))
        // The gate's own pauses do for all while it is shut.
        case .park(let pause):
            errand.completion(
                .parked(for: pause, attempts: errand.delivery.attempts, isForDevice: treatment == .slowDown))
        case .again(let pause): if gate.isOpen { later(errand, pause) } else { run(errand) }
        case .againWithNewToken:
            credentials.refused(errand.authorization, now: clock())
            run(errand)
        case .stop:
            tell(gate.refused(now: loop.now))
            run(errand)
        }
    }

    /// What an answer says of the provider, whoever it was for.
    private func observe(_ treatment: Treatment, _ errand: Errand) -> ProviderGate.Change {
        switch treatment {
        case .retry(let kind):
            gate.failed(kind, sentAt: errand.sentAt, now: loop.now, random: Double.random(in: 0...1))
        case .stopSending: gate.refused(now: loop.now)
        // Whether it is a matter of age shows at the next try.
        case .renewProviderToken: gate.undecided()
        default: gate.good()
        }
    }

    private func tell(_ change: ProviderGate.Change) {
        switch change {
        case .none: break
        case .opened: dependency.up()
        case .closed(let kind): dependency.down(.text(Courier.text(of: kind)))
        case .refused:
            dependency.down(.text("the credentials are refused"))
            log.error(
                "APNs refuses the credentials: nothing is sent until they are mended",
                [
                    "settings": .text("APNS_KEY_FILE, APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC"),
                    "again": .milliseconds(ProviderGate.refusalPause),
                ])
        }
    }

    private static func text(of kind: FailureKind) -> StaticString {
        switch kind {
        case .unreachable: "no connection can be made"
        case .interrupted: "connections break, or answers do not come"
        case .unavailable: "it says that it is unavailable"
        case .internalError: "it answers with internal errors"
        }
    }

    private func later(_ errand: Errand, _ pause: Duration) {
        loop.timer(after: pause) {
            if !errand.isCancelled, !self.isClosed { self.run(errand) }
        }
    }
}
