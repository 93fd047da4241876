public import EventLoop

/// When a program that ended is started again: after a second; one that keeps ending before it was ready waits twice as
/// long each time, half a minute at most, so that a broken one does not fill the terminal.
public struct RestartPolicy: Sendable, Equatable {
    public static let delay = Duration.seconds(1)
    public static let longestDelay = Duration.seconds(30)
    private var next = Self.delay

    public init() {}

    /// The program can do its work: whatever happened before is forgiven.
    public mutating func becameReady() { next = Self.delay }

    /// The program ended; answers how long to wait.
    public mutating func ended() -> Duration {
        defer { next = min(next * 2, Self.longestDelay) }
        return next
    }

    /// The line that the terminal gets.
    public static func line(_ name: String, _ exit: ChildProcess.Exit, delay: Duration) -> String {
        "\(name) died (\(words(exit))); it is started again in \(delay.components.seconds) s"
    }

    public static func words(_ exit: ChildProcess.Exit) -> String {
        switch exit {
        case .status(let status): "status \(status)"
        case .signal(let signal): "signal \(signal)"
        }
    }
}
