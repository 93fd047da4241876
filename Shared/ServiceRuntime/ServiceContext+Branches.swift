public import EventLoop
internal import Settings

/// Takes one log line with its newline; false when there was no room for it. From any thread.
public typealias LogSink = @Sendable ([UInt8]) -> Bool

/// What the home loop knows of a further one: how to ask it, and what it answered last.
final class Branch: @unchecked Sendable {
    // @unchecked: `metrics` is touched on `loop` alone, `latest` on the home loop alone.

    let loop: EventLoop
    let metrics: Metrics
    /// What it stood at when it was last asked: a loop that has ended, or is late, is counted with that.
    var latest = MetricsSnapshot()

    init(loop: EventLoop, metrics: Metrics) {
        self.loop = loop
        self.metrics = metrics
    }
}

extension ServiceContext {
    /// How long a scrape waits for the further loops.
    static var scrapeTimeout: Duration { .seconds(1) }

    /// A context for a further loop of the same process, with a log, metrics and an instance (`<INSTANCE_ID>.<number>`) of its
    /// own. They share nothing with this one's but the output. `/metrics` answers the sums, and a dependency counts as up while
    /// all loops reach it. To be called on the further loop, which must be running.
    /// - Parameter number: 2 for the second loop, and so on.
    public func branch(loop: EventLoop, number: Int) -> ServiceContext {
        loop.assertCurrent()
        let context = ServiceContext(home: self, loop: loop, number: number)
        _ = Upkeep(loop: loop, log: context.log, metrics: context.metrics, measuresProcess: false)
        let branch = Branch(loop: loop, metrics: context.metrics)
        self.loop.post { self.branches.append(branch) }
        return context
    }

    /// What all loops count together, now. On the home loop; so is the answer.
    func scrape(_ answer: @escaping (MetricsSnapshot) -> Void) {
        let gathering = SnapshotGathering(branches: branches, own: metrics.snapshot(), answer: answer)
        if branches.isEmpty { return gathering.finish() }
        let home = loop
        for branch in branches {
            branch.loop.post {
                let snapshot = branch.metrics.snapshot()
                home.post { gathering.take(snapshot, from: branch) }
            }
        }
        gathering.deadline = home.timer(after: Self.scrapeTimeout) { gathering.finish() }
    }
}

/// One scrape while the loops answer it. Home loop only.
private final class SnapshotGathering: @unchecked Sendable {
    // @unchecked: carried through the other loops' threads, and touched on the home loop alone.

    private let branches: [Branch]
    private let own: MetricsSnapshot
    private var answer: ((MetricsSnapshot) -> Void)?
    private var missing: Int
    var deadline: LoopTimer?

    init(branches: [Branch], own: MetricsSnapshot, answer: @escaping (MetricsSnapshot) -> Void) {
        self.branches = branches
        self.own = own
        self.answer = answer
        missing = branches.count
    }

    func take(_ snapshot: MetricsSnapshot, from branch: Branch) {
        branch.latest = snapshot
        missing -= 1
        if missing == 0 { finish() }
    }

    func finish() {
        guard let answer else { return }
        self.answer = nil
        deadline?.cancel()
        var sum = own
        for branch in branches { sum.add(branch.latest) }
        answer(sum)
    }
}
