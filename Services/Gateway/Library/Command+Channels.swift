import Models

/// What a client asks of channels, as the Centrifuge client protocol says it.
struct SubscribeRequest: Equatable {
    var channel = ""
    /// What it wants to recover.
    var recovery = ConnectRequest.Recovery.none
    /// It asks to be told who comes and goes.
    var joinLeave = false
    /// What cannot be recovered is to be an error (112), not a subscription from the present on.
    var rejectsUnrecovered = false
}

struct HistoryRequest: Equatable {
    var channel = ""
    /// 0: only where the stream stands. Negative: as many as are given at once.
    var limit: Int64 = 0
    var since = Since.none
    var isReversed = false

    /// Behind which post it is to begin.
    enum Since: Equatable {
        case none
        case from(StreamPosition)
        /// Of whatever epoch the stream has now.
        case offset(UInt64)
        /// It names something that is no position here.
        case unknown
    }
}

/// A command about channels.
enum ChannelCommand: Equatable {
    case subscribe(SubscribeRequest)
    case unsubscribe(String)
    case presence(String)
    case presenceStats(String)
    case history(HistoryRequest)

    /// The channel's name, as the client sent it.
    var channel: String {
        switch self {
        case .subscribe(let request): request.channel
        case .unsubscribe(let name), .presence(let name), .presenceStats(let name): name
        case .history(let request): request.channel
        }
    }
}

extension ChannelCommand {
    /// Reads what stands behind the name of one of these commands.
    static func read(_ key: JSONKey, _ line: Span<UInt8>, _ at: inout Int) throws(JSONError) -> ChannelCommand? {
        switch key {
        case .subscribe: .subscribe(try subscribeRequest(line, &at))
        case .unsubscribe: .unsubscribe(try channelMember(line, &at))
        case .presence: .presence(try channelMember(line, &at))
        case .presenceStats: .presenceStats(try channelMember(line, &at))
        case .history: .history(try historyRequest(line, &at))
        default: nil
        }
    }

    private static func subscribeRequest(_ line: Span<UInt8>, _ at: inout Int) throws(JSONError) -> SubscribeRequest {
        var request = SubscribeRequest()
        var recovers = false
        var place = StatedPlace()
        var members = try JSONMembers(line, &at)
        while let name = try members.present(line, &at) {
            switch JSONKey(line, name) {
            case .channel: request.channel = JSON.text(line, try JSON.string(line, &at))
            case .recover: recovers = try JSON.bool(line, &at)
            case .joinLeave: request.joinLeave = try JSON.bool(line, &at)
            // Bit 2: reject what cannot be recovered. Bit 1 offers numbers for channels, which a server need not take.
            case .flag: request.rejectsUnrecovered = try JSON.integer(line, &at) & 2 != 0
            case let key: if try !place.read(key, line, &at) { _ = try JSON.value(line, &at) }
            }
        }
        if recovers { request.recovery = place.recovery }
        return request
    }

    private static func historyRequest(_ line: Span<UInt8>, _ at: inout Int) throws(JSONError) -> HistoryRequest {
        var request = HistoryRequest()
        var members = try JSONMembers(line, &at)
        while let name = try members.present(line, &at) {
            switch JSONKey(line, name) {
            case .channel: request.channel = JSON.text(line, try JSON.string(line, &at))
            case .limit: request.limit = try JSON.integer(line, &at)
            case .reverse: request.isReversed = try JSON.bool(line, &at)
            case .since where try JSON.kind(line, &at) == .object:
                var place = StatedPlace()
                var fields = try JSONMembers(line, &at)
                while let field = try fields.present(line, &at) {
                    if try !place.read(JSONKey(line, field), line, &at) { _ = try JSON.value(line, &at) }
                }
                request.since = place.since
            default: _ = try JSON.value(line, &at)
            }
        }
        return request
    }

    private static func channelMember(_ line: Span<UInt8>, _ at: inout Int) throws(JSONError) -> String {
        var channel = ""
        var members = try JSONMembers(line, &at)
        while let name = try members.present(line, &at) {
            if JSONKey(line, name) == .channel {
                channel = JSON.text(line, try JSON.string(line, &at))
            } else {
                _ = try JSON.value(line, &at)
            }
        }
        return channel
    }
}

extension ChannelID {
    /// `channel:<id>`, as clients name it; nil for anything else. Taken apart by bytes: to `String` the colon and a combining
    /// mark behind it are one character.
    init?(subscribed text: String) {
        let prefix = "channel:".utf8
        guard text.utf8.starts(with: prefix) else { return nil }
        self.init(String(Substring(text.utf8.dropFirst(prefix.count))))
    }
}

extension JSONKey {
    static let channel = JSONKey("channel")
    static let joinLeave = JSONKey("join_leave")
    static let flag = JSONKey("flag")
    static let limit = JSONKey("limit")
    static let reverse = JSONKey("reverse")
    static let since = JSONKey("since")
}
