public import EventLoop
internal import Glibc
internal import Models
public import Settings

/// Lines for the operator, in logfmt:
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
    private let origin: [UInt8]
    private let clock: () -> Int64
    private let write: ([UInt8]) -> Bool
    private var repeats: [UnsafePointer<UInt8>: Repeats] = [:]
    private var dropped = 0

    private struct Repeats {
        var since: Int64
        var written = 0
        var suppressed = 0
        let level: LogLevel
        let message: StaticString
    }

    /// - Parameters:
    ///   - clock: milliseconds since 1970.
    ///   - write: takes one line with its newline; false when there was no room for it.
    public init(
        service: String, instance: String, level: LogLevel, clock: @escaping () -> Int64 = EventLoop.wallClock,
        write: @escaping ([UInt8]) -> Bool = writeToStandardError
    ) {
        self.level = level
        self.clock = clock
        self.write = write
        origin = Array("\(service)#\(instance)".utf8)
    }

    public func debug(_ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue> = [:]) {
        line(.debug, message, fields)
    }
    public func info(_ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue> = [:]) {
        line(.info, message, fields)
    }
    public func warning(_ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue> = [:]) {
        line(.warning, message, fields)
    }
    public func error(_ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue> = [:]) {
        line(.error, message, fields)
    }

    /// Writes the sums of what was held back. The runtime calls it once a second, and when the service ends.
    /// - Parameter all: also those whose window has not passed yet.
    public func sumUp(all: Bool = false) {
        let now = clock()
        for (key, entry) in repeats where all || now - entry.since >= Self.window {
            repeats[key] = nil
            if entry.suppressed > 0 { emit(now, entry.level, entry.message, ["repeated": .count(entry.suppressed)]) }
        }
    }

    private func line(_ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>) {
        guard level >= self.level else { return }
        let now = clock()
        guard message.hasPointerRepresentation else { return emit(now, level, message, fields) }
        let key = message.utf8Start
        var entry = repeats[key] ?? Repeats(since: now, level: level, message: message)
        if now - entry.since >= Self.window {
            if entry.suppressed > 0 { emit(now, level, message, ["repeated": .count(entry.suppressed)]) }
            entry = Repeats(since: now, level: level, message: message)
        }
        if entry.written < Self.burst {
            entry.written += 1
            emit(now, level, message, fields)
        } else {
            entry.suppressed += 1
        }
        repeats[key] = entry
    }

    private func emit(
        _ now: Int64, _ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>
    ) {
        if dropped > 0, send(render(now, .warning, "log lines were dropped", ["count": .count(dropped)])) { dropped = 0 }
        if !send(render(now, level, message, fields)) { dropped += 1 }
    }

    private func send(_ line: [UInt8]) -> Bool { write(line) }

    private func render(
        _ now: Int64, _ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>
    ) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(160)
        Timestamp.append(now, to: &line)
        line.append(0x20)
        line.append(contentsOf: level.rawValue.utf8)
        line.append(0x20)
        line.append(contentsOf: origin)
        line.append(contentsOf: " message=".utf8)
        LogValue.text(message).append(to: &line)
        for (key, value) in fields {
            line.append(0x20)
            line.append(contentsOf: key.description.utf8)
            line.append(0x3d)
            value.append(to: &line)
        }
        if line.count >= Self.longestLine { line.removeLast(line.count - Self.longestLine + 1) }
        line.append(0x0a)
        return line
    }
}

/// One line to standard error, unless that would block: a pipe that polls as writable has room for one page.
public func writeToStandardError(_ line: [UInt8]) -> Bool {
    var descriptor = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
    guard poll(&descriptor, 1, 0) == 1, descriptor.revents & Int16(POLLOUT) != 0 else { return false }
    return line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) } > 0
}
