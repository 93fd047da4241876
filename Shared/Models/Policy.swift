/// The ways by which a type reaches a person: in the app, by push. They are not the channels that people watch.
public struct PolicyChannels: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let inApp = PolicyChannels(rawValue: 1)
    public static let push = PolicyChannels(rawValue: 2)
}

/// How notifications of a type are treated.
public struct Policy: Equatable, Sendable {
    public var category: String
    /// The priority of events that name none.
    public var priority: Priority
    public var channels: PolicyChannels
    /// The time to live of events that name none. After it a notification disturbs nobody.
    public var ttlSeconds: Int64
    /// Events need neither `title` nor `template`: clients read their `data` alone.
    public var silent = false
    /// Where `POST /v1/events` writes the type, without the namespace; nil: `events.<first part of the type>`.
    public var topic: String?

    /// Ten years. No sum of it with a time in ms overflows.
    public static let maximumTTLSeconds: Int64 = 315_360_000

    public init(
        category: String, priority: Priority, channels: PolicyChannels, ttlSeconds: Int64, silent: Bool = false, topic: String? = nil
    ) {
        self.category = category
        self.priority = priority
        self.channels = channels
        self.ttlSeconds = ttlSeconds
        self.silent = silent
        self.topic = topic
    }
}

/// The policies of all types. The exact name goes before a pattern, and a longer pattern before a shorter one. Names are compared by
/// their bytes.
public struct PolicyTable: Sendable {
    private var exact: [ExactText: Policy] = [:]
    private var patterns: [(prefix: String, policy: Policy)] = []

    public init() {}

    /// Adds a type (`social.like`) or a pattern (`social.*`, which matches all below `social.`; `*` matches every type).
    /// A name that stood before is replaced.
    public mutating func add(_ name: String, _ policy: Policy) {
        guard name == "*" || name.hasSuffix(".*") else {
            exact[ExactText(name)] = policy
            return
        }
        let prefix = String(name.dropLast())
        patterns.removeAll { $0.prefix == prefix }
        patterns.append((prefix, policy))
        patterns.sort { $0.prefix.utf8.count > $1.prefix.utf8.count }
    }

    /// Nil for a type that no policy names.
    public func policy(for type: String) -> Policy? {
        exact[ExactText(type)] ?? patterns.first { type.utf8.starts(with: $0.prefix.utf8) }?.policy
    }

    public var isEmpty: Bool { exact.isEmpty && patterns.isEmpty }

    /// The exact types, in no order.
    public var types: [String] { exact.keys.map(\.text) }

    /// Every type and pattern with its policy, in no order.
    public var entries: [(name: String, policy: Policy)] {
        exact.map { ($0.key.text, $0.value) } + patterns.map { ($0.prefix + "*", $0.policy) }
    }
}
