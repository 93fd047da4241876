internal import EventLoop

/// Asks every two seconds whether a broker answers, on a thread of its own, and says when that changes. Loop thread only.
///
/// librdkafka reports connections, and these say little: an idle connection is closed without harm, and a connection to a stopped
/// broker stays open.
final class BrokerProbe {
    /// Called with the first answer, and then with changes.
    var onState: ((BrokerState) -> Void)?

    private let loop: EventLoop
    private let client: KafkaClient
    private let worker: WorkerThread
    private var timer: LoopTimer?
    private var isAsking = false
    private var isClosed = false
    private var last: BrokerState?
    /// The first answer was put off, because the reason was not known yet.
    private var hasPutOff = false

    /// How long a broker may take, in ms, and how often it is asked. It is asked twice, and has half of that for each answer.
    private static let patience: Int32 = 3_000
    private static let interval = Duration.milliseconds(2_000)

    init(loop: EventLoop, client: KafkaClient, name: String) {
        self.loop = loop
        self.client = client
        worker = WorkerThread(name: name)
    }

    func start() {
        timer = loop.timer(after: .zero, every: Self.interval) { [unowned self] in self.ask() }
    }

    /// Asks now, because something went wrong.
    func ask() {
        guard !isAsking, !isClosed else { return }
        isAsking = true
        // Confined to the loop: the worker only carries it there and back.
        nonisolated(unsafe) let me = self
        let (client, loop) = (client, loop)
        worker.run {
            // A machine that stands still lets one half pass unused; the broker has the other.
            let failure = client.probe(timeout: Self.patience / 2).flatMap { _ in client.probe(timeout: Self.patience / 2) }
            loop.post { me.answered(failure) }
        }
    }

    /// Asks whether one of these topics is there; `answer` is called on the loop.
    func look(for patterns: TopicPatterns, _ answer: @escaping (TopicFinding) -> Void) {
        // Confined to the loop: the worker only carries it there and back.
        nonisolated(unsafe) let answer = answer
        let (client, loop) = (client, loop)
        worker.run {
            let found = client.find(patterns, timeout: Self.patience / 2)
            loop.post { answer(found) }
        }
    }

    /// `completion` on the loop once the client is no longer used.
    func close(_ completion: @escaping @Sendable () -> Void) {
        isClosed = true
        timer?.cancel()
        timer = nil
        onState = nil
        let loop = loop
        worker.run { loop.post(completion) }
        worker.stop()
    }

    private func answered(_ failure: KafkaError?) {
        isAsking = false
        guard !isClosed else { return }
        // At the start a TLS handshake may still be under way. The operator is to read how it ended.
        if failure != nil, last == nil, !hasPutOff, !client.knowsFault {
            hasPutOff = true
            return ask()
        }
        let state = failure.map { BrokerState.down($0.reason) } ?? .up
        if (state == .up) == (last == .up), last != nil { return }
        last = state
        onState?(state)
    }
}
