import Models

// Commands in JSON: each an object on a line of its own.
extension Command {
    /// The commands of one text message, `limit` at most. Throws at the first that is not JSON, not an object, or lacks its id.
    static func decodeJSON(_ bytes: Span<UInt8>, limit: Int) throws(MalformedCommand) -> [Command] {
        var commands: [Command] = []
        var start = 0
        while start < bytes.count, commands.count < limit {
            var end = start
            while end < bytes.count, bytes[end] != 0x0A { end &+= 1 }
            let line = bytes.extracting(start..<end)
            start = end &+ 1
            if isBlank(line) { continue }
            do throws(JSONError) {
                guard let command = try decodeLine(line) else { throw JSONError.unexpected(at: 0) }
                commands.append(command)
            } catch {
                throw MalformedCommand()
            }
        }
        if commands.isEmpty { throw MalformedCommand() }
        return commands
    }

    private static func isBlank(_ line: Span<UInt8>) -> Bool {
        for index in line.indices where line[index] != 0x20 && line[index] != 0x0D && line[index] != 0x09 { return false }
        return true
    }

    private static func decodeLine(_ line: Span<UInt8>) throws(JSONError) -> Command? {
        var at = 0
        var id: UInt64 = 0
        var command: ((UInt64) -> Command)?
        var isEmpty = true
        var sent: Result<Call, ReplyError>?
        var members = try JSONMembers(line, &at)
        while let name = try members.present(line, &at) {
            isEmpty = false
            switch JSONKey(line, name) {
            case .id:
                guard let value = UInt64(exactly: try JSON.integer(line, &at)) else { return nil }
                id = value
            case .connect:
                let request = try connectRequest(line, &at)
                command = { .connect(id: $0, request) }
            case .refresh:
                let token = try tokenMember(line, &at)
                command = { .refresh(id: $0, token: token) }
            case .send:
                sent = try Call.decode(line, &at)
            case .rpc:
                let call = try Call.decode(line, &at)
                command = { .rpc(id: $0, call) }
            case .subscribe, .unsubscribe, .presence, .presenceStats, .history:
                guard let asked = try ChannelCommand.read(JSONKey(line, name), line, &at) else { return nil }
                command = { .channel(id: $0, asked) }
            case .publish, .subRefresh, .ping:
                _ = try JSON.value(line, &at)
                command = { .unserved(id: $0) }
            default:
                _ = try JSON.value(line, &at)
                if command == nil { command = { .unknown(id: $0) } }
            }
        }
        try JSON.end(line, &at)
        if isEmpty { return .pong }
        if let sent { return .send(sent) }
        guard id > 0 else { return nil }
        return command?(id) ?? .unknown(id: id)
    }

    private static func tokenMember(_ line: Span<UInt8>, _ at: inout Int) throws(JSONError) -> String {
        var token = ""
        var members = try JSONMembers(line, &at)
        while let name = try members.present(line, &at) {
            if JSONKey(line, name) == .token {
                token = JSON.text(line, try JSON.string(line, &at))
            } else {
                _ = try JSON.value(line, &at)
            }
        }
        return token
    }

    private static func connectRequest(_ line: Span<UInt8>, _ at: inout Int) throws(JSONError) -> ConnectRequest {
        var request = ConnectRequest()
        var members = try JSONMembers(line, &at)
        while let name = try members.present(line, &at) {
            switch JSONKey(line, name) {
            case .token: request.token = JSON.text(line, try JSON.string(line, &at))
            case .name where try JSON.kind(line, &at) == .string: request.name = JSON.text(line, try JSON.string(line, &at))
            case .subs where try JSON.kind(line, &at) == .object:
                var channels = try JSONMembers(line, &at)
                while let channel = try channels.present(line, &at) {
                    if JSONKey(line, channel) == .inbox {
                        request.recovery = try recovery(line, &at)
                    } else {
                        _ = try JSON.value(line, &at)
                    }
                }
            default: _ = try JSON.value(line, &at)
            }
        }
        return request
    }

    /// `{"recover":true,"epoch":"…","offset":n}`
    private static func recovery(
        _ line: Span<UInt8>, _ at: inout Int
    ) throws(JSONError) -> ConnectRequest.Recovery {
        var recovers = false
        var place = StatedPlace()
        var members = try JSONMembers(line, &at)
        while let name = try members.present(line, &at) {
            switch JSONKey(line, name) {
            case .recover: recovers = try JSON.bool(line, &at)
            case let key: if try !place.read(key, line, &at) { _ = try JSON.value(line, &at) }
            }
        }
        return recovers ? place.recovery : .none
    }
}

extension StatedPlace {
    /// False if it is another member, whose value is still to be read.
    mutating func read(_ key: JSONKey, _ line: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Bool {
        switch key {
        case .epoch: epoch = JSON.text(line, try JSON.string(line, &at))
        case .offset: offset = UInt64(exactly: try JSON.integer(line, &at))
        default: return false
        }
        return true
    }
}

extension JSONKey {
    static let id = JSONKey("id")
    static let connect = JSONKey("connect")
    static let refresh = JSONKey("refresh")
    static let send = JSONKey("send")
    static let subscribe = JSONKey("subscribe")
    static let unsubscribe = JSONKey("unsubscribe")
    static let publish = JSONKey("publish")
    static let presence = JSONKey("presence")
    static let presenceStats = JSONKey("presence_stats")
    static let history = JSONKey("history")
    static let rpc = JSONKey("rpc")
    static let subRefresh = JSONKey("sub_refresh")
    static let ping = JSONKey("ping")
    static let token = JSONKey("token")
    static let subs = JSONKey("subs")
    static let inbox = JSONKey("inbox")
    static let recover = JSONKey("recover")
    static let epoch = JSONKey("epoch")
    static let offset = JSONKey("offset")
}
