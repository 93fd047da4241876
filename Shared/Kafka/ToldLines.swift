/// Which lines of a pipeline's log were told: a failure that repeats is one line until something passes, what is told once is told once.
struct ToldLines {
    private var lastFailure: String?
    private var once: Set<String> = []
    private static let maximum = 64

    /// Whether a failure's line is another than the last one's.
    mutating func isNew(failure line: String) -> Bool {
        defer { lastFailure = line }
        return line != lastFailure
    }

    mutating func isNew(once line: String) -> Bool { once.count < Self.maximum && once.insert(line).inserted }

    mutating func somethingPassed() { lastFailure = nil }
}
