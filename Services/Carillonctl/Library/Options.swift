/// One option of a command, for its parser and its help.
struct Option: Sendable {
    let name: String
    /// What stands for the value in the help; nil for an option without one.
    let value: String?
    let help: String

    init(_ name: String, _ value: String? = nil, _ help: String) {
        self.name = name
        self.value = value
        self.help = help
    }
}

/// The words behind a command, sorted into options and the rest.
struct Options: Sendable {
    private var values: [String: String] = [:]
    private var switches: Set<String> = []
    private(set) var rest: [String] = []

    /// Reads `--name value`, `--name=value`, `--name` and the rest; `--` ends the options.
    init(_ words: [String], known: [Option]) throws(ControlError) {
        var words = words[...]
        while let word = words.popFirst() {
            if word == "--" {
                rest += words
                return
            }
            guard word.hasPrefix("--") else {
                rest.append(word)
                continue
            }
            // By bytes: to `String` the sign and a combining mark behind it are one character.
            let parts = word.utf8.dropFirst(2).split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
                .map { String(Substring($0)) }
            let name = parts[0]
            guard let option = known.first(where: { $0.name == name }) else {
                throw .usage("there is no option --\(printable(name))")
            }
            guard values[name] == nil, !switches.contains(name) else { throw .usage("--\(name) stands there twice") }
            if option.value == nil {
                guard parts.count == 1 else { throw .usage("--\(name) takes no value") }
                switches.insert(name)
            } else if parts.count == 2 {
                values[name] = parts[1]
            } else if let value = words.popFirst() {
                values[name] = value
            } else {
                throw .usage("--\(name) needs a value")
            }
        }
    }

    func has(_ name: String) -> Bool { switches.contains(name) }
    subscript(name: String) -> String? { values[name] }

    func required(_ name: String) throws(ControlError) -> String {
        guard let value = values[name], !value.isEmpty else { throw .usage("--\(name) is needed") }
        return value
    }

    func count(_ name: String) throws(ControlError) -> Int? {
        guard let text = values[name] else { return nil }
        guard let count = Int(text), count > 0 else { throw .usage("--\(name) takes a number from 1 on") }
        return count
    }
}

/// What stands between the commas, taken apart by bytes as ids are.
func listed(_ text: String) -> [String] { text.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) } }
