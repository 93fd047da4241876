import Models

// Commands about channels in JSON.
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
            case .flag: request.rejectsUnrecovered = try JSON.integer(line, &at) & SubscribeRequest.rejectsUnrecoveredFlag != 0
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

extension JSONKey {
    static let channel = JSONKey("channel")
    static let joinLeave = JSONKey("join_leave")
    static let flag = JSONKey("flag")
    static let limit = JSONKey("limit")
    static let reverse = JSONKey("reverse")
    static let since = JSONKey("since")
}
