/// Why a command has no reply.
public enum RedisError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is no connection: the command was not sent.
    case unavailable
    /// As many commands are in flight as the limit allows: the command was not sent.
    case overloaded
    /// The connection broke: whether the command was executed is unknown.
    case disconnected
    /// No reply in time: whether the command was executed is unknown. The connection is given up with it.
    case timedOut
    /// What Redis said.
    case server(String)
    /// A reply of a form that the command cannot have.
    case unexpectedReply(String)

    /// Nothing is wrong with the command: Redis is away or cannot serve at present, and the same command may be repeated later.
    public var isOutage: Bool {
        switch self {
        case .unavailable, .overloaded, .disconnected, .timedOut: true
        case .server(let text): Self.outages.contains { text.hasPrefix($0) }
        case .unexpectedReply: false
        }
    }

    /// True if it is certain that the command was not executed.
    public var wasNotExecuted: Bool {
        switch self {
        case .unavailable, .overloaded: true
        case .server(let text): text.hasPrefix("NOSCRIPT") || text.hasPrefix("LOADING") || text.hasPrefix("BUSY ")
        default: false
        }
    }

    /// The first words of errors that tell of the server's state and not of the command.
    private static let outages = [
        "LOADING", "OOM ", "READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED ", "ASK ",
        "BUSY ", "NOSCRIPT", "NOAUTH", "NOPERM", "WRONGPASS", "UNKILLABLE", "ERR max number of clients",
    ]

    /// Redis answers, and takes no writes at present: it has no memory left for them, too few replicas, or a disk that fails.
    public var refusesWrites: Bool {
        guard case .server(let text) = self else { return false }
        return ["OOM ", "NOREPLICAS", "MISCONF"].contains { text.hasPrefix($0) }
    }

    /// For a log line: of the server's own text only the first word is told, for the rest may quote arguments.
    public var description: String {
        switch self {
        case .unavailable: "not connected"
        case .overloaded: "too many commands in flight"
        case .disconnected: "the connection broke"
        case .timedOut: "no answer in time"
        case .server(let text): Self.words(String(text.prefix { $0 != " " }.prefix(32)))
        case .unexpectedReply(let what): "unexpected reply to \(what)"
        }
    }

    /// What Redis means by the first word of an error.
    private static func words(_ word: String) -> String {
        let meaning =
            switch word {
            case "OOM": "Redis has reached maxmemory and takes no writes"
            case "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write and takes no writes"
            case "MISCONF": "Redis cannot write to its disk and takes no writes"
            case "WRONGPASS": "user or password is wrong"
            case "NOAUTH": "Redis wants a password"
            case "NOPERM": "the user may not do that (its ACL)"
            case "LOADING": "Redis is loading its data"
            case "READONLY": "it is a replica"
            default: "Redis answered"
            }
        return meaning == "Redis answered" ? "\(meaning) \(word)" : "\(meaning) (\(word))"
    }
}
