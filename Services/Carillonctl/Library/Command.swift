/// What a command works with.
struct Invocation: Sendable {
    let options: Options
    let settings: ControlSettings
    let environment: [String: String]
    let terminal: Terminal
}

/// One thing that the tool does.
struct Command: Sendable {
    /// One or two words: `produce`, `dlq show`.
    let name: String
    /// What stands behind the options, for the help; nil if nothing may.
    let operand: String?
    /// One line for the list of commands.
    let summary: String
    /// What else there is to say, for the command's own help.
    let details: String
    let options: [Option]
    let run: @Sendable (Invocation) async throws -> Int32

    init(
        _ name: String, operand: String? = nil, summary: String, details: String = "", options: [Option] = [],
        run: @escaping @Sendable (Invocation) async throws -> Int32
    ) {
        self.name = name
        self.operand = operand
        self.summary = summary
        self.details = details
        self.options = options
        self.run = run
    }

    var help: String {
        var text = "\(summary).\n\nUsage: carillonctl \(name)"
        if !options.isEmpty { text += " [options]" }
        if let operand { text += " \(operand)" }
        text += "\n"
        if !details.isEmpty { text += "\n\(details)\n" }
        if options.isEmpty { return text }
        let rows = options.map { ("--\($0.name)" + ($0.value.map { " \($0)" } ?? ""), $0.help) }
        return text + "\nOptions:\n" + Self.columns(rows)
    }

    static func columns(_ rows: [(String, String)]) -> String {
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { "  \($0)\(String(repeating: " ", count: width - $0.count))  \($1)\n" }.joined()
    }
}
