/// The names that Kafka knows this suite by, under one namespace.
public struct Topics: Sendable {
    private let prefix: String

    /// - Parameter namespace: empty for none; any other prefixes every name with `<namespace>.`.
    public init(namespace: String = "") { prefix = namespace.isEmpty ? "" : namespace + "." }

    /// Where producers put events of one domain.
    public func events(domain: String) -> String { "\(prefix)events.\(domain)" }
    /// A regular expression (librdkafka: begins with `^`) for the events of every domain. It also matches `events.dlq`.
    public var everyEvent: String { "^" + prefix.escapedForExpression + #"events\..*"# }
    public func notifications(_ priority: Priority) -> String { "\(prefix)notifications.\(priority.rawValue)" }
    public func push(_ priority: Priority) -> String { "\(prefix)push.\(priority.rawValue)" }

    /// Pushes of one provider that wait for a time of their own.
    public func pushRetries(of provider: String) -> String { "\(prefix)push.retry.\(provider)" }

    public var eventDeadLetters: String { prefix + "events.dlq" }
    public var notificationDeadLetters: String { prefix + "notifications.dlq" }
    public var pushDeadLetters: String { prefix + "push.dlq" }

    /// `carillon-<service>`.
    public func consumerGroup(_ service: String) -> String { "\(prefix)carillon-\(service)" }
    /// `carillon-<service>-<INSTANCE_ID>`.
    public func transactionalID(_ service: String, instance: String) -> String { "\(prefix)carillon-\(service)-\(instance)" }

    /// The topic for an event of a type: the one that its policy names, else `events.<first part of the type>`; nil for a
    /// reserved or impossible domain (decision 0024).
    public func events(forType type: String, policy: Policy? = nil) -> String? {
        if let topic = policy?.topic { return prefix + topic }
        let domain = Substring(type.utf8.prefix { $0 != UInt8(ascii: ".") })
        guard Self.isDomain(domain) else { return nil }
        return events(domain: String(domain))
    }

    /// The topics that a table of policies leads to, sorted. `*` and types whose first part cannot be a topic lead to none that
    /// is known.
    public func events(of policies: PolicyTable) -> [String] {
        Set(policies.entries.compactMap { events(forType: $0.name, policy: $0.policy) }).sorted()
    }

    /// Whether a policy may name the topic (without a namespace): it is read with the events, so it begins with `events.`.
    public static func isEventTopic(_ topic: String) -> Bool {
        let parts = topic.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count > 1 && parts[0] == "events" && topic.utf8.count <= 200 && parts.dropFirst().allSatisfy(isDomain)
    }

    /// Whether Kafka takes it as a part of a name between dots; `dlq` is reserved.
    static func isDomain(_ domain: Substring) -> Bool {
        guard !domain.isEmpty, domain.utf8.count <= 200, domain != "dlq" else { return false }
        return domain.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }
}

extension String {
    fileprivate var escapedForExpression: String {
        reduce(into: "") { result, character in
            if !character.isLetter, !character.isNumber, character != "_", character != "-" { result.append("\\") }
            result.append(character)
        }
    }
}
