import CYAML
import FoundationEssentials
public import Models

/// One mistake in a policy file.
public struct PolicyComplaint: Equatable, Sendable, CustomStringConvertible {
    /// Counted from 1.
    public let line: Int
    public let text: String

    public var description: String { "line \(line): \(text)" }
}

/// Everything that is wrong with a policy file, in the order of its lines.
public struct PolicyFileError: Error, Equatable, Sendable, CustomStringConvertible {
    public let complaints: [PolicyComplaint]

    public var description: String { complaints.map(\.description).joined(separator: "\n") }
}

/// The policies' file: YAML with `types:`, a map from type or pattern to a policy, and optionally `default:`, a policy for
/// every type that none of them matches.
public enum PolicyFile {
    /// Reads a file; a file that cannot be read is a complaint about line 1.
    public static func read(path: String) throws(PolicyFileError) -> PolicyTable {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw PolicyFileError(complaints: [PolicyComplaint(line: 1, text: "\(path) cannot be read")])
        }
        return try read(Array(data))
    }

    /// Checks the whole text before it answers, and throws every mistake at once.
    public static func read(_ text: [UInt8]) throws(PolicyFileError) -> PolicyTable {
        var reader = PolicyReader()
        do {
            try withYAML(text) { root in reader.root(root) }
        } catch {
            reader.complaints = [error]
        }
        guard reader.complaints.isEmpty else {
            throw PolicyFileError(complaints: reader.complaints.sorted { $0.line < $1.line })
        }
        return reader.table
    }
}

/// Collects policies and complaints.
private struct PolicyReader {
    var table = PolicyTable()
    var complaints: [PolicyComplaint] = []

    mutating func root(_ root: YAMLNode?) {
        guard let root else { return complain(1, "the file is empty; it needs types:") }
        guard let members = map(root, "the file") else { return }
        var types: YAMLNode?
        for (key, value) in members {
            switch key.text {
            case "types": types = value
            case "default": if let policy = policy(value) { table.add("*", policy) }
            case let other: complain(key.line, "\(other ?? "this") is none of types, default")
            }
        }
        guard let types else { return complain(root.line, "types is missing") }
        for (key, value) in map(types, "types") ?? [] {
            let policy = policy(value)
            guard let name = key.text, isName(name) else {
                complain(key.line, "\(key.text ?? "this") is neither a type (a.b) nor a pattern (a.*)")
                continue
            }
            if let policy { table.add(name, policy) }
        }
    }

    private mutating func policy(_ node: YAMLNode) -> Policy? {
        guard let members = map(node, "a policy") else { return nil }
        let before = complaints.count
        var (category, priority, channels, ttlSeconds): (String?, Priority?, PolicyChannels?, Int64?)
        var (silent, topic): (Bool?, String?)
        var named: Set<String> = []
        for (key, value) in members {
            named.insert(key.text ?? "")
            switch key.text {
            case "category": category = self.category(value)
            case "priority": priority = self.priority(value)
            case "channels": channels = self.channels(value)
            case "ttlSeconds": ttlSeconds = self.ttlSeconds(value)
            case "silent": silent = self.silent(value)
            case "topic": topic = self.topic(value)
            case let other:
                complain(key.line, "\(other ?? "this") is none of category, priority, channels, ttlSeconds, silent, topic")
            }
        }
        for needed in ["category", "priority", "channels", "ttlSeconds"] where !named.contains(needed) {
            complain(node.line, "\(needed) is missing")
        }
        guard complaints.count == before, let category, let priority, let channels, let ttlSeconds else { return nil }
        return Policy(
            category: category, priority: priority, channels: channels, ttlSeconds: ttlSeconds, silent: silent ?? false,
            topic: topic)
    }

    private mutating func category(_ node: YAMLNode) -> String? {
        guard let text = node.text, !text.isEmpty else { return complain(node.line, "category must be a word") }
        return text
    }

    private mutating func priority(_ node: YAMLNode) -> Priority? {
        guard let priority = node.text.flatMap(Priority.init(rawValue:)) else {
            return complain(node.line, "priority must be high, normal or low")
        }
        return priority
    }

    private mutating func channels(_ node: YAMLNode) -> PolicyChannels? {
        guard let elements = node.elements else { return complain(node.line, "channels must be a list of in-app, push") }
        var channels: PolicyChannels = []
        for element in elements {
            let channel: PolicyChannels
            switch element.text {
            case "in-app": channel = .inApp
            case "push": channel = .push
            default: return complain(element.line, "channels holds in-app and push, nothing else")
            }
            guard channels.insert(channel).inserted else { return complain(element.line, "channels names one twice") }
        }
        // A push names the entry in the inbox, so there is no push without an entry.
        guard channels.contains(.inApp) else { return complain(node.line, "channels must hold in-app") }
        return channels
    }

    private mutating func ttlSeconds(_ node: YAMLNode) -> Int64? {
        guard let seconds = node.text.flatMap(Int64.init), (1...Policy.maximumTTLSeconds).contains(seconds) else {
            return complain(node.line, "ttlSeconds must be a whole number from 1 to \(Policy.maximumTTLSeconds)")
        }
        return seconds
    }

    private mutating func silent(_ node: YAMLNode) -> Bool? {
        switch node.text {
        case "true": true
        case "false": false
        default: complain(node.line, "silent must be true or false")
        }
    }

    private mutating func topic(_ node: YAMLNode) -> String? {
        guard let topic = node.text, Topics.isEventTopic(topic) else {
            return complain(node.line, "topic must be events. and a name of letters, digits, _, - and dots, and not dlq")
        }
        return topic
    }

    /// The members of a map; a key that stands twice is a mistake.
    private mutating func map(_ node: YAMLNode, _ what: String) -> [(key: YAMLNode, value: YAMLNode)]? {
        guard let members = node.members else { return complain(node.line, "\(what) must be a map") }
        var lines: [String: Int] = [:]
        for (key, _) in members {
            guard let text = key.text else { continue }
            if let line = lines[text] { complain(key.line, "\(text) stands in line \(line) already") }
            lines[text] = key.line
        }
        return members
    }

    /// Parts between dots, of letters, digits, `_` and `-`; a pattern ends in `.*`.
    private func isName(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        let named = parts.last == "*" && parts.count > 1 ? parts.dropLast() : parts[...]
        return named.allSatisfy { part in
            !part.isEmpty
                && part.utf8.allSatisfy { byte in
                    UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
                        || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
                }
        }
    }

    private mutating func complain(_ line: Int, _ text: String) {
        complaints.append(PolicyComplaint(line: line, text: text))
    }

    private mutating func complain<Value>(_ line: Int, _ text: String) -> Value? {
        complaints.append(PolicyComplaint(line: line, text: text))
        return nil
    }
}
