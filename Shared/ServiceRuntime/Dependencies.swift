public import EventLoop

/// What a service may depend on beyond its own process.
public enum Dependency: String, MetricLabel {
    case redis, kafka, apns
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

    /// Where a loop that is not the process's first tells what its own connections say.
    typealias Report = @Sendable (_ dependency: Dependency, _ isUp: Bool?, _ reason: LogValue) -> Void

    private struct Entry {
        let dependency: Dependency
        let gauge: Gauge?
        var state = State.starting
        /// Why it is down, as the log says it.
        var reason = ""
        /// When it went down, in ms of the monotonic clock.
        var downAt: Int64 = 0
        var sources: [Bool?] = []
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

    /// For a further loop: nothing is logged or counted here, and every change goes to `forward`. The first report of a
    /// dependency says nil: it is declared.
    init(log: Log, metrics: Metrics, forward: @escaping Report) {
        self.log = log
        self.metrics = metrics
        clock = EventLoop.wallClock
        ticks = EventLoop.monotonicMilliseconds
        self.forward = forward
    }

    /// What a further loop said of all its connections to a dependency.
    func remote(_ branch: Int, _ dependency: Dependency, isUp: Bool?, reason: LogValue) {
        let key = Remote(branch: branch, dependency: dependency)
        let its = remotes[key] ?? source(dependency)
        remotes[key] = its
        switch isUp {
        case true?: its.up()
        case false?: its.down(reason)
        case nil: break
        }
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

    fileprivate func report(_ entry: Int, _ source: Int, up: Bool, reason: LogValue) {
        entries[entry].sources[source] = up
        let allUp = entries[entry].sources.allSatisfy { $0 == true }
        let former = entries[entry].state
        switch former {
        case .starting where allUp, .down where allUp:
            entries[entry].state = .up
            entries[entry].reason = ""
        case .starting where !up, .up where !up:
            entries[entry].state = .down(since: clock())
            entries[entry].reason = reason.text
            entries[entry].downAt = ticks()
        default: return
        }
        if let forward { return forward(entries[entry].dependency, allUp, reason) }
        say(entries[entry], former, isUp: allUp, reason)
        entries[entry].gauge?.set(allUp ? 1 : 0)
    }

    private func say(_ entry: Entry, _ former: State, isUp: Bool, _ reason: LogValue) {
        let name = LogValue.name(entry.dependency)
        switch former {
        case .starting where isUp: log.info("dependency is up", ["dependency": name])
        case .down where isUp:
            log.info("dependency is up again", ["dependency": name, "away": .milliseconds(max(0, ticks() - entry.downAt))])
        default: log.warning("dependency is down", ["dependency": name, "reason": reason])
        }
    }
}

/// One connection's voice about its dependency. Reports that change nothing cost nothing and write nothing.
public final class DependencySource {
    private let dependencies: Dependencies
    private let entry: Int
    private let source: Int
    private var last: Bool?

    fileprivate init(_ dependencies: Dependencies, entry: Int, source: Int) {
        self.dependencies = dependencies
        self.entry = entry
        self.source = source
    }

    public func up() { report(true, .text("")) }

    /// - Parameter reason: why, for the log line.
    public func down(_ reason: LogValue) { report(false, reason) }

    private func report(_ up: Bool, _ reason: LogValue) {
        guard last != up else { return }
        last = up
        dependencies.report(entry, source, up: up, reason: reason)
    }
}
