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

    /// For a log line: the server's own text is cut to its first word, for the rest may quote arguments.
    public var description: String {
        switch self {
        case .unavailable: "not connected"
        case .overloaded: "too many commands in flight"
        case .disconnected: "the connection broke"
        case .timedOut: "no answer in time"
        case .server(let text): "Redis answered \(text.prefix { $0 != " " }.prefix(32))"
        case .unexpectedReply(let what): "unexpected reply to \(what)"
        }
    }
}
