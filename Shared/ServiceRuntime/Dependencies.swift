public import EventLoop

/// What a service may depend on beyond its own process.
public enum Dependency: String, MetricLabel {
    case redis, kafka, apns, fcm
}

/// Which dependencies answer: one log line each way, `carillon_dependency_up`, and the body of `/health/ready`.
///
/// A dependency may be used through several connections (a client and a subscriber, say), each of which reports for
/// itself through its own `DependencySource`. It is up while all of them are, so an outage is one line and not one
/// for each. Confined to its loop's thread.
public final class Dependencies {
    public enum State: Equatable, Sendable {
        /// Not reached yet since the start.
        case starting
        case up
        /// Since when, in ms of the wall clock.
        case down(since: Int64)
    }

    /// What a connection says of its dependency, and all of them together.
    enum Standing: Sendable {
        case up, down
        /// It answers, and only a person can make it fit for use.
        case unfit
    }

    /// Called on a further loop of the process, with what its own connections say; nil where the dependency is declared.
    typealias Report = @Sendable (_ dependency: Dependency, _ standing: Standing?, _ reason: LogValue) -> Void

    private struct Entry {
        let dependency: Dependency
        let gauge: Gauge?
        var state = State.starting
        /// Nil until its connections have said so.
        var standing: Standing?
        var wasUp = false
        /// Why it is down, as the log says it.
        var reason = ""
        /// When it went down, in ms of the monotonic clock.
        var downAt: Int64 = 0
        var sources: [Standing?] = []

        /// Nil: some have not reported yet, and none is down.
        var ofAllSources: Standing? {
            if sources.contains(.unfit) { return .unfit }
            if sources.contains(.down) { return .down }
            return sources.contains(nil) ? nil : .up
        }
    }

    private let log: Log
    private let metrics: Metrics
    private let clock: () -> Int64
    private let ticks: () -> Int64
    private let forward: Report?
    private var entries: [Entry] = []
    private var remotes: [Remote: DependencySource] = [:]

    private struct Remote: Hashable {
        let branch: Int
        let dependency: Dependency
    }

    /// - Parameters:
    ///   - clock: ms since 1970, for since when something is down.
    ///   - ticks: ms that only grow, for how long: the wall clock may step.
    public init(
        log: Log, metrics: Metrics, clock: @escaping () -> Int64 = EventLoop.wallClock,
        ticks: @escaping () -> Int64 = EventLoop.monotonicMilliseconds
    ) {
        self.log = log
        self.metrics = metrics
        self.clock = clock
        self.ticks = ticks
        forward = nil
    }

    /// For a further loop: nothing is logged or counted here, and every change goes to `forward`.
    init(log: Log, metrics: Metrics, forward: @escaping Report) {
        self.log = log
        self.metrics = metrics
        clock = EventLoop.wallClock
        ticks = EventLoop.monotonicMilliseconds
        self.forward = forward
    }

    /// What a further loop said of all its connections to a dependency.
    func remote(_ branch: Int, _ dependency: Dependency, _ standing: Standing?, reason: LogValue) {
        let key = Remote(branch: branch, dependency: dependency)
        let its = remotes[key] ?? source(dependency)
        remotes[key] = its
        if let standing { its.report(standing, reason) }
    }

    /// Declares one more connection to the dependency. It counts as starting until its first report.
    public func source(_ dependency: Dependency) -> DependencySource {
        let index: Int
        if let known = entries.firstIndex(where: { $0.dependency == dependency }) {
            index = known
        } else {
            index = entries.count
            let gauge =
                forward == nil
                ? metrics.gauge(
                    "carillon_dependency_up", "1 while the dependency answers, 0 while it is away.",
                    labels: "dependency=\"\(dependency.rawValue)\"") : nil
            entries.append(Entry(dependency: dependency, gauge: gauge))
            forward?(dependency, nil, .text(""))
        }
        entries[index].sources.append(nil)
        return DependencySource(self, entry: index, source: entries[index].sources.count - 1)
    }

    public func state(of dependency: Dependency) -> State? {
        entries.first { $0.dependency == dependency }?.state
    }

    /// In the order they were declared; the reason is empty for what is not down.
    public var states: [(dependency: Dependency, state: State, reason: String)] {
        entries.map { ($0.dependency, $0.state, $0.reason) }
    }

    /// Whether Kafka has been up once, where a service reads it: its groups have then given this process its part, be it none, and what is
    /// written from now on is read at once.
    public var haveGroupsJoined: Bool { entries.allSatisfy { $0.dependency != .kafka || $0.wasUp } }

    fileprivate func report(_ index: Int, _ source: Int, _ standing: Standing, reason: LogValue) {
        entries[index].sources[source] = standing
        let former = entries[index].standing
        guard let now = entries[index].ofAllSources, now != former else { return }
        entries[index].standing = now
        if now == .up {
            entries[index].state = .up
            entries[index].wasUp = true
            entries[index].reason = ""
        } else {
            if former == nil || former == .up {
                entries[index].state = .down(since: clock())
                entries[index].downAt = ticks()
            }
            entries[index].reason = reason.text
        }
        if let forward { return forward(entries[index].dependency, now, reason) }
        say(entries[index], former, now, reason)
        entries[index].gauge?.set(now == .up ? 1 : 0)
    }

    private func say(_ entry: Entry, _ former: Standing?, _ now: Standing, _ reason: LogValue) {
        let name = LogValue.name(entry.dependency)
        switch now {
        case .up where former == nil: log.info("dependency is up", ["dependency": name])
        case .up:
            log.info("dependency is up again", ["dependency": name, "away": .milliseconds(max(0, ticks() - entry.downAt))])
        case .down: log.warning("dependency is down", ["dependency": name, "reason": reason])
        case .unfit: log.error("dependency is not fit for use until somebody mends it", ["dependency": name, "reason": reason])
        }
    }
}

/// Reports the state of one connection to a dependency. A report that changes nothing costs nothing and writes nothing.
public final class DependencySource {
    private let dependencies: Dependencies
    private let entry: Int
    private let source: Int
    private var last: Dependencies.Standing?

    fileprivate init(_ dependencies: Dependencies, entry: Int, source: Int) {
        self.dependencies = dependencies
        self.entry = entry
        self.source = source
    }

    public func up() { report(.up, .text("")) }

    /// - Parameter reason: why, for the log line.
    public func down(_ reason: LogValue) { report(.down, reason) }

    /// It answers and must not be used as it is; only a person can mend that.
    public func unfit(_ reason: LogValue) { report(.unfit, reason) }

    fileprivate func report(_ standing: Dependencies.Standing, _ reason: LogValue) {
        guard last != standing else { return }
        last = standing
        dependencies.report(entry, source, standing, reason: reason)
    }
}
