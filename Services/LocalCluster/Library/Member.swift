internal import EventLoop

/// One program of the cluster, run and run again. It belongs to the cluster's loop.
final class Member {
    enum State: Equatable {
        /// Not started yet, or stopped for good.
        case idle
        case starting
        case ready
        /// It ended and is started again soon.
        case waiting
    }

    var plan: MemberPlan
    private(set) var state = State.idle
    private(set) var process: ChildProcess?
    /// Told of each change that others should see: ready, died.
    var onEvent: (Event) -> Void = { _ in }
    /// What came before the first time that it was ready ends the start of the cluster instead of being tried again.
    private var wasEverReady = false
    private var isStopping = false
    private var onStopped: (() -> Void)?
    private var policy = RestartPolicy()
    private let loop: EventLoop
    private let logFolder: String
    private let searchPaths: String
    private let inherited: [String: String]

    enum Event: Equatable {
        case ready(again: Bool)
        case died(ChildProcess.Exit, delay: Duration)
        /// Before it was ready for the first time.
        case failed(String)
    }

    init(_ plan: MemberPlan, loop: EventLoop, logFolder: String, inherited: [String: String]) {
        self.plan = plan
        self.loop = loop
        self.logFolder = logFolder
        self.inherited = inherited
        searchPaths = inherited["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
    }

    var pid: Int32? { process?.exit == nil ? process?.pid : nil }
    var logFile: String { "\(logFolder)/\(plan.name).log" }

    func start() {
        guard !isStopping else { return }
        state = .starting
        if case .file(let path) = plan.probe { Files.remove(path) }
        guard let executable = Files.program(plan.executable, searching: searchPaths) else {
            return onEvent(.failed("\(plan.executable) is not here"))
        }
        // A secret that the plan sets is not to be read from the file that it came from as well.
        let besides = inherited.filter { name, _ in !name.hasSuffix("_FILE") || plan.environment[String(name.dropLast(5))] == nil }
        let command = ChildProcess.Command(
            executable, plan.arguments, environment: besides.merging(plan.environment) { $1 })
        do {
            let started = Started()
            let process = try ChildProcess.start(
                loop: loop, command, standardOutput: .file(logFile), standardError: .file(logFile),
                onExit: {
                    started.isOver = true
                    self.ended($0)
                })
            self.process = process
            ask(started)
        } catch {
            onEvent(.failed(error.description))
        }
    }

    /// One start of the program, so that an answer about an earlier one is told from one about this.
    private final class Started {
        var isOver = false
    }

    private func ask(_ started: Started) {
        guard !started.isOver, !isStopping else { return }
        plan.probe.ask(loop: loop) { works in
            guard !started.isOver, !self.isStopping else { return }
            if works {
                self.becameReady()
            } else {
                self.loop.timer(after: .milliseconds(50)) { self.ask(started) }
            }
        }
    }

    private func becameReady() {
        state = .ready
        policy.becameReady()
        let again = wasEverReady
        wasEverReady = true
        onEvent(.ready(again: again))
    }

    private func ended(_ exit: ChildProcess.Exit) {
        process = nil
        guard !isStopping else {
            state = .idle
            onStopped?()
            return
        }
        guard wasEverReady else {
            return onEvent(.failed("it ended before it was ready (\(RestartPolicy.words(exit)))"))
        }
        state = .waiting
        let delay = policy.ended()
        onEvent(.died(exit, delay: delay))
        loop.timer(after: delay) { self.start() }
    }

    /// Ends it for good: SIGTERM, and SIGKILL when `patience` is over. `completion` comes once, when it has ended.
    func stop(patience: Duration, completion: @escaping () -> Void) {
        isStopping = true
        guard let process, process.exit == nil else {
            state = .idle
            return completion()
        }
        let deadline = loop.timer(after: patience) { process.kill(Signal.kill) }
        onStopped = {
            deadline.cancel()
            completion()
        }
        // What was stopped by a signal could not hear of this one.
        process.kill(Signal.continue)
        process.kill(Signal.terminate)
    }

    /// Ends it and lets it start again, because its plan has changed.
    func renew(_ plan: MemberPlan) {
        guard plan != self.plan else { return }
        self.plan = plan
        process?.kill(Signal.terminate)
    }

    func kill() {
        isStopping = true
        process?.kill(Signal.kill)
    }
}

enum Signal {
    static let hangup: Int32 = 1
    static let interrupt: Int32 = 2
    static let kill: Int32 = 9
    static let user1: Int32 = 10
    static let user2: Int32 = 12
    static let terminate: Int32 = 15
    static let `continue`: Int32 = 18
}
