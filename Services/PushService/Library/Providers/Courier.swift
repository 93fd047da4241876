internal import EventLoop
internal import Models
internal import ServiceRuntime

/// Carries pushes to one destination of a provider: high priority first, so many at a time, each again until there is an outcome, and
/// none while the provider is away. What fails for a reason of its own is not waited for: its outcome is to be parked. Where other
/// providers are served beside this one, neither is an outage. Loop thread only.
final class Courier {
    private let loop: EventLoop
    private let provider: any PushProvider
    private let destination: String
    private let limits: RetryLimits
    /// What waits for this provider would hold up other providers' pushes.
    private let hasOthersBeside: Bool
    private let instruments: Instruments
    private let log: Log
    private let dependency: DependencySource
    private var gate: ProviderGate
    private var waiting = WaitingErrands()
    private var inFlight = 0
    private var gateTimer: LoopTimer?
    private var isTurnScheduled = false
    private var isClosed = false

    init(
        loop: EventLoop, provider: any PushProvider, destination: String, limits: RetryLimits, hasOthersBeside: Bool,
        instruments: Instruments, log: Log, dependency: DependencySource
    ) {
        self.loop = loop
        self.provider = provider
        self.destination = destination
        self.limits = limits
        self.hasOthersBeside = hasOthersBeside
        self.instruments = instruments
        self.log = log
        self.dependency = dependency
        gate = ProviderGate(limits: limits)
    }

    func run(_ errand: Errand) {
        waiting.append(errand)
        scheduleTurn()
    }

    /// The provider's connections are the provider's to close.
    func close() {
        isClosed = true
        gateTimer?.cancel()
        gateTimer = nil
        waiting = WaitingErrands()
    }

    // MARK: Sending

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
        while !isClosed, inFlight < provider.maximumInFlight, let priority = waiting.next(isOpen: gate.isOpen) {
            guard gate.admits(now: loop.now) else {
                // Nobody is asked at present: what would hold up others leaves.
                if hasOthersBeside { for errand in waiting.takeThoseThatLeave() { park(errand, for: .zero) } }
                break
            }
            if let errand = waiting.takeFirst(of: priority) { send(errand) }
        }
        armGate()
    }

    /// A question that needs no device: whether anybody is there at all.
    func greet() {
        let sentAt = loop.now
        provider.greet(destination) { failure in
            guard !self.isClosed else { return }
            if let failure {
                self.failed(failure, sentAt)
            } else {
                self.tell(self.gate.good())
            }
            self.scheduleTurn()
        }
    }

    private func failed(_ kind: FailureKind, _ sentAt: UInt64) {
        tell(gate.failed(kind, sentAt: sentAt, now: loop.now, random: Double.random(in: 0...1)))
    }

    private func armGate() {
        guard !isClosed, gateTimer == nil, let opensAt = gate.opensAt else { return }
        // Only a push can tell whether credentials are taken: without one there is nothing to do at that time.
        if case .refused = gate.state, waiting.next(isOpen: false) == nil { return }
        let pause = opensAt > loop.now ? opensAt - loop.now : 0
        gateTimer = loop.timer(after: .milliseconds(Int64(clamping: pause))) {
            self.gateTimer = nil
            self.gateIsDue()
        }
    }

    /// With nothing to send, a greeting is the probe; whether credentials are taken only a push can tell.
    private func gateIsDue() {
        if waiting.next(isOpen: false) == nil, case .closed = gate.state, gate.admits(now: loop.now) { return greet() }
        sendWaiting()
    }

    private func send(_ errand: Errand) {
        let body: [UInt8]
        do throws(DeadLetter) {
            if let encoded = errand.body {
                body = encoded
            } else {
                body = try provider.encode(errand.message, for: errand.device)
                errand.body = body
            }
        } catch {
            // It took the place of a probe, and nobody was asked.
            tell(gate.undecided())
            return errand.completion(.gaveUp(error, attempts: 1))
        }
        if errand.attempt.tries > 0 { instruments.retries.increment() }
        errand.attempt.sent(goodAnswers: gate.goodAnswers)
        errand.sentAt = loop.now
        inFlight += 1
        provider.send(body, of: errand.message, to: errand.device) { answer in
            self.inFlight -= 1
            guard !self.isClosed else { return }
            if answer.reason != nil { self.instruments.roundTrip.observe(milliseconds: self.loop.now - errand.sentAt) }
            self.answered(errand, answer)
            self.scheduleTurn()
        }
    }

    // MARK: Answers

    private func answered(_ errand: Errand, _ answer: ProviderAnswer) {
        guard !errand.isCancelled else { return tell(observe(answer.meaning, errand)) }
        let step = errand.attempt.answered(
            answer.meaning, goodAnswers: gate.goodAnswers, limits: limits, random: Double.random(in: 0...1))
        tell(observe(answer.meaning, errand))
        switch step {
        case .accepted: errand.completion(.accepted)
        case .deviceGone(let since): errand.completion(.deviceGone(since: since))
        case .badToken: errand.completion(.badToken)
        case .wrongTopic:
            errand.completion(.wrongTopic(deadLetter(.rejectedByProvider, answer), attempts: errand.attempt.counted))
        case .giveUp(let reason):
            errand.completion(.gaveUp(deadLetter(reason, answer), attempts: errand.attempt.counted))
        case .park(let pause): park(errand, for: pause, isForDevice: answer.meaning.isForDevice)
        case .again(let pause) where leaves(errand): park(errand, for: pause)
        // The gate's own pauses do for all while it is shut.
        case .again(let pause): if gate.isOpen { later(errand, pause) } else { run(errand) }
        case .againWithNewToken: run(errand)
        case .stop:
            tell(gate.refused(now: loop.now))
            run(errand)
        }
    }

    private func leaves(_ errand: Errand) -> Bool { hasOthersBeside && !errand.waitsHere }

    private func park(_ errand: Errand, for pause: Duration, isForDevice: Bool = false) {
        errand.completion(.parked(for: pause, attempts: errand.attempt.attempts, isForDevice: isForDevice))
    }

    private func deadLetter(_ reason: DeadLetterReason, _ answer: ProviderAnswer) -> DeadLetter {
        DeadLetter(reason, answer.reason.map { "\(provider.name.title) answered \($0)" } ?? "\(provider.name.title) did not answer")
    }

    /// What an answer says of the provider, whoever it was for.
    private func observe(_ meaning: AnswerMeaning, _ errand: Errand) -> ProviderGate.Change {
        switch meaning {
        case .providerFailed(let kind, _):
            gate.failed(kind, sentAt: errand.sentAt, now: loop.now, random: Double.random(in: 0...1))
        case .credentialsRefused: gate.refused(now: loop.now)
        // Whether it is a matter of age shows at the next try.
        case .credentialsExpired: gate.undecided()
        case .accepted, .deviceGone, .badToken, .wrongTopic, .slowDown, .ownFault: gate.good()
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
                "the provider refuses the credentials: nothing is sent until they are mended",
                [
                    "provider": .name(provider.name), "settings": .text(provider.credentialSettings),
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
