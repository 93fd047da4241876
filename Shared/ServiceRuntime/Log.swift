public import EventLoop
internal import Glibc
internal import Models
public import Settings

/// Lines for the operator, in logfmt or as JSON (`LogLine`):
/// `2026-11-21T11:00:00.123Z info gateway#gateway-1 message="ready" port=8080`.
///
/// Message and keys are texts of the source code, and values are typed (`LogValue`), so that no payload, token or
/// user-chosen string gets into a line. A message that repeats is written `burst` times a `window`, and then summed
/// up. Confined to the thread of its loop. Writing never blocks: lines that a full pipe would not take are counted
/// and the count is written when there is room again.
public final class Log {
    /// Lines of one message within `window`; further ones are counted. Reached in LogTests.
    public static let burst = 10
    /// Milliseconds over which repeated lines are summed up.
    public static let window: Int64 = 10_000
    /// The longest line in bytes; what is longer is cut. A pipe takes this much at once or not at all.
    public static let longestLine = 4096

    public let level: LogLevel
    private let line: LogLine
    private let clock: () -> Int64
    private let ticks: () -> Int64
    private let write: ([UInt8]) -> Bool
    private var repeats: [UnsafePointer<UInt8>: Repeats] = [:]
    private var dropped = 0

    private struct Repeats {
        /// In the ms of `ticks`.
        var since: Int64
        var written = 0
        var suppressed = 0
        let level: LogLevel
        let message: StaticString
    }

    /// - Parameters:
    ///   - clock: milliseconds since 1970, for what a line says.
    ///   - ticks: milliseconds that only grow, for what repeats: the wall clock may step.
    ///   - write: takes one line with its newline; false when there was no room for it.
    public init(
        service: String, instance: String, level: LogLevel, format: LogFormat = .logfmt,
        clock: @escaping () -> Int64 = EventLoop.wallClock, ticks: @escaping () -> Int64 = EventLoop.monotonicMilliseconds,
        write: @escaping ([UInt8]) -> Bool = writeToStandardError
    ) {
        self.level = level
        self.clock = clock
        self.ticks = ticks
        self.write = write
        line = LogLine(format: format, service: service, instance: instance)
    }

    /// Costs one comparison where debug lines are not written: the fields are not made.
    @inlinable
    public func debug(_ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]) {
        if level <= .debug { take(.debug, message, fields()) }
    }
    public func info(_ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue> = [:]) {
        take(.info, message, fields)
    }
    public func warning(_ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue> = [:]) {
        take(.warning, message, fields)
    }
    public func error(_ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue> = [:]) {
        take(.error, message, fields)
    }

    /// Writes the sums of what was held back. The runtime calls it once a second, and when the service ends.
    /// - Parameter all: also those whose window has not passed yet.
    public func sumUp(all: Bool = false) {
        let now = ticks()
        for (key, entry) in repeats where all || now - entry.since >= Self.window {
            repeats[key] = nil
            if entry.suppressed > 0 { emit(entry.level, entry.message, ["repeated": .count(entry.suppressed)]) }
        }
    }

    @usableFromInline
    func take(_ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>) {
        guard level >= self.level else { return }
        guard message.hasPointerRepresentation else { return emit(level, message, fields) }
        let now = ticks()
        let key = message.utf8Start
        var entry = repeats[key] ?? Repeats(since: now, level: level, message: message)
        if now - entry.since >= Self.window {
            if entry.suppressed > 0 { emit(level, message, ["repeated": .count(entry.suppressed)]) }
            entry = Repeats(since: now, level: level, message: message)
        }
        if entry.written < Self.burst {
            entry.written += 1
            emit(level, message, fields)
        } else {
            entry.suppressed += 1
        }
        repeats[key] = entry
    }

    private func emit(_ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>) {
        let now = clock()
        if dropped > 0, write(line.bytes(now, .warning, "log lines were dropped", ["count": .count(dropped)])) { dropped = 0 }
        if !write(line.bytes(now, level, message, fields)) { dropped += 1 }
    }
}

/// One line to standard error, unless that would block: a pipe that polls as writable has room for one page.
public func writeToStandardError(_ line: [UInt8]) -> Bool {
    var descriptor = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
    guard poll(&descriptor, 1, 0) == 1, descriptor.revents & Int16(POLLOUT) != 0 else { return false }
    return line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) } > 0
}
