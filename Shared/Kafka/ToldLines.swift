/// Which lines of a pipeline's log were told. A failure that repeats is told once until a transaction passes. An alarm is told
/// once.
struct ToldLines {
    private var lastFailure: String?
    private var once: Set<String> = []
    private static let maximum = 64

    /// Whether the line of a failure differs from the last one.
    mutating func isNew(failure line: String) -> Bool {
        defer { lastFailure = line }
        return line != lastFailure
    }

    mutating func isNew(once line: String) -> Bool { once.count < Self.maximum && once.insert(line).inserted }

    mutating func somethingPassed() { lastFailure = nil }
}
