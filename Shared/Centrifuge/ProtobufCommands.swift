import Models

// Commands in Protobuf: each behind its length. As in every reader of the format, a field that stands twice counts as it stands
// last, one of another wire type than its own is unknown, and what is unknown is stepped over.
extension Command {
    /// The commands of one binary message, `limit` at most: what follows them is not looked at.
    static func decodeProtobuf(_ bytes: Span<UInt8>, limit: Int) throws(MalformedCommand) -> [Command] {
        var commands: [Command] = []
        var at = 0
        do throws(ProtobufError) {
            while at < bytes.count, commands.count < limit {
                let range = try Protobuf.delimited(bytes, &at)
                guard let command = try decodeMessage(bytes.extracting(range)) else { throw ProtobufError() }
                commands.append(command)
            }
        } catch {
            throw MalformedCommand()
        }
        if commands.isEmpty { throw MalformedCommand() }
        return commands
    }

    private static func decodeMessage(_ bytes: Span<UInt8>) throws(ProtobufError) -> Command? {
        if bytes.isEmpty { return .pong }
        var at = 0
        var id: UInt64 = 0
        var command: ((UInt64) -> Command)?
        var sent: Result<Call, ReplyError>?
        while let (number, value) = try Protobuf.field(bytes, &at) {
            switch (number, value) {
            case (1, .varint(let value)): id = UInt64(UInt32(truncatingIfNeeded: value))
            case (4, .bytes(let range)):
                let request = try connectRequest(bytes.extracting(range))
                command = { .connect(id: $0, request) }
            case (12, .bytes(let range)): sent = try Call.decodeProtobuf(bytes.extracting(range))
            case (13, .bytes(let range)):
                let call = try Call.decodeProtobuf(bytes.extracting(range))
                command = { .rpc(id: $0, call) }
            case (14, .bytes(let range)):
                let token = try Self.text(1, of: bytes.extracting(range))
                command = { .refresh(id: $0, token: token) }
            // publish, ping, sub_refresh
            case (7, .bytes), (11, .bytes), (15, .bytes): command = { .unserved(id: $0) }
            case (let number, .bytes(let range)):
                if let asked = try ChannelCommand.read(number, bytes.extracting(range)) { command = { .channel(id: $0, asked) } }
            default: break
            }
        }
        if let sent { return .send(sent) }
        guard id > 0 else { return nil }
        return command?(id) ?? .unknown(id: id)
    }

    /// The text of one field; "" if it is not there.
    static func text(_ wanted: UInt32, of bytes: Span<UInt8>) throws(ProtobufError) -> String {
        var at = 0
        var text = ""
        while let (number, value) = try Protobuf.field(bytes, &at) {
            if number == wanted, case .bytes(let range) = value { text = try Protobuf.text(bytes, range) }
        }
        return text
    }

    private static func connectRequest(_ bytes: Span<UInt8>) throws(ProtobufError) -> ConnectRequest {
        var request = ConnectRequest()
        var at = 0
        while let (number, value) = try Protobuf.field(bytes, &at) {
            switch (number, value) {
            case (1, .bytes(let range)): request.token = try Protobuf.text(bytes, range)
            case (3, .bytes(let range)):
                if let recovery = try inboxRecovery(bytes.extracting(range)) { request.recovery = recovery }
            case (4, .bytes(let range)): request.name = try Protobuf.text(bytes, range)
            default: break
            }
        }
        return request
    }

    /// Of an entry of `subs`, a map; nil if it is about another subscription.
    private static func inboxRecovery(_ bytes: Span<UInt8>) throws(ProtobufError) -> ConnectRequest.Recovery? {
        var name = ""
        var subscription: Range<Int>?
        var at = 0
        while let (number, value) = try Protobuf.field(bytes, &at) {
            switch (number, value) {
            case (1, .bytes(let range)): name = try Protobuf.text(bytes, range)
            case (2, .bytes(let range)): subscription = range
            default: break
            }
        }
        guard name == "inbox" else { return nil }
        return try SubscribeRequest(protobuf: bytes.extracting(subscription ?? 0..<0)).recovery
    }
}

extension ChannelCommand {
    /// Reads one of these commands; nil if the number is none of theirs.
    static func read(_ number: UInt32, _ bytes: Span<UInt8>) throws(ProtobufError) -> ChannelCommand? {
        switch number {
        case 5: .subscribe(try SubscribeRequest(protobuf: bytes))
        case 6: .unsubscribe(try Command.text(1, of: bytes))
        case 8: .presence(try Command.text(1, of: bytes))
        case 9: .presenceStats(try Command.text(1, of: bytes))
        case 10: .history(try HistoryRequest(protobuf: bytes))
        default: nil
        }
    }
}

extension SubscribeRequest {
    init(protobuf bytes: Span<UInt8>) throws(ProtobufError) {
        self.init()
        var recovers = false
        var place = StatedPlace()
        var at = 0
        while let (number, value) = try Protobuf.field(bytes, &at) {
            switch (number, value) {
            case (1, .bytes(let range)): channel = try Protobuf.text(bytes, range)
            case (3, .varint(let value)): recovers = value != 0
            case (6, .bytes(let range)): place.epoch = try Protobuf.text(bytes, range)
            case (7, .varint(let value)): place.offset = value
            case (11, .varint(let value)): joinLeave = value != 0
            case (14, .varint(let value)): rejectsUnrecovered = Int64(bitPattern: value) & Self.rejectsUnrecoveredFlag != 0
            default: break
            }
        }
        if recovers { recovery = place.recovery }
    }
}

extension HistoryRequest {
    init(protobuf bytes: Span<UInt8>) throws(ProtobufError) {
        self.init()
        var at = 0
        while let (number, value) = try Protobuf.field(bytes, &at) {
            switch (number, value) {
            case (1, .bytes(let range)): channel = try Protobuf.text(bytes, range)
            case (7, .varint(let value)): limit = Int64(Int32(truncatingIfNeeded: value))
            case (8, .bytes(let range)): since = try StatedPlace(protobuf: bytes.extracting(range)).since
            case (9, .varint(let value)): isReversed = value != 0
            default: break
            }
        }
    }
}

extension StatedPlace {
    /// A `StreamPosition` of the protocol.
    init(protobuf bytes: Span<UInt8>) throws(ProtobufError) {
        var at = 0
        while let (number, value) = try Protobuf.field(bytes, &at) {
            switch (number, value) {
            case (1, .varint(let value)): offset = value
            case (2, .bytes(let range)): epoch = try Protobuf.text(bytes, range)
            default: break
            }
        }
    }
}

extension Call {
    /// Reads an `rpc`, or a `send`, which names no method. `data` holds the same JSON as in the other codec: what is wrong with
    /// it is wrong with the call, and not with the frame.
    static func decodeProtobuf(_ bytes: Span<UInt8>) throws(ProtobufError) -> Result<Call, ReplyError> {
        var method: JSONKey?
        var data = 0..<0
        var at = 0
        while let (number, value) = try Protobuf.field(bytes, &at) {
            switch (number, value) {
            case (1, .bytes(let range)): data = range
            case (2, .bytes(let range)):
                let name = try Protobuf.text(bytes, range)
                // A longer name is none of ours.
                method = name.isEmpty ? nil : name.utf8.count <= 16 ? JSONKey(name) : .other
            default: break
            }
        }
        return decode(method, bytes.extracting(data))
    }

    /// - Parameter data: JSON; empty is an empty object.
    private static func decode(_ method: JSONKey?, _ data: Span<UInt8>) -> Result<Call, ReplyError> {
        do throws(ReplyError) {
            let none: InlineArray<2, UInt8> = [UInt8(ascii: "{"), UInt8(ascii: "}")]
            let object = data.isEmpty ? none.span : data
            var at = 0
            let parameters = try CallParameters(object, &at)
            JSON.skipSpace(object, &at)
            guard at == object.count else { throw .badRequest("something stands behind the data") }
            return .success(try parameters.call(method ?? parameters.method))
        } catch {
            return .failure(error)
        }
    }
}
