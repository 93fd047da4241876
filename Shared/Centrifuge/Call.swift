public import Models

/// What a client may ask for by `rpc` and `send`: about its inbox, and about its own flow.
public enum Call: Equatable, Sendable {
    case ack(InboxSelection)
    case seen(InboxSelection)
    case read(InboxSelection)
    case unread([NotificationID])
    case archive([NotificationID])
    /// Publications that may be under way without an acknowledgement; 0: any number.
    case window(Int)
    /// Publications a second; 0: any number.
    case rate(Int)
    case pause
    case resume

    /// How many notifications it names.
    public var idCount: Int {
        switch self {
        case .ack(.ids(let ids)), .seen(.ids(let ids)), .read(.ids(let ids)), .unread(let ids), .archive(let ids): ids.count
        default: 0
        }
    }
}

/// What may stand in a call's data.
public struct CallParameters {
    var method: JSONKey?
    var position: StreamPosition?
    var ids: [NotificationID]?
    /// `size` of a window, `perSecond` of a rate.
    var number: Int64?
    /// Of the paths of REST, which serve clients of other transports.
    public var transport: String?
    public var name: String?

    /// Reads an object. Unknown members are passed over: a later version may send them.
    public init(_ bytes: Span<UInt8>, _ at: inout Int) throws(ReplyError) {
        do throws(JSONError) {
            try read(bytes, &at)
        } catch {
            throw .badRequest("the data is not of the form that the method takes")
        }
    }

    private mutating func read(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) {
        var members = try JSONMembers(bytes, &at)
        var epoch: UInt64?
        var offset: UInt64?
        while let name = try members.present(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .method: method = JSONKey(bytes, try JSON.string(bytes, &at))
            case .epoch:
                // The protocol's epochs are texts.
                epoch = UInt64(JSON.text(bytes, try JSON.string(bytes, &at)))
                if epoch == nil { throw .unexpected(at: at) }
            case .offset:
                offset = UInt64(exactly: try JSON.integer(bytes, &at))
                if offset == nil { throw .unexpected(at: at) }
            case .cursor:
                position = Cursor(JSON.text(bytes, try JSON.string(bytes, &at)))?.position
                if position == nil { throw .unexpected(at: at) }
            case .ids: ids = try Self.ids(bytes, &at)
            case .size, .perSecond: number = try JSON.integer(bytes, &at)
            case .transport: transport = JSON.text(bytes, try JSON.string(bytes, &at))
            case .name: self.name = JSON.text(bytes, try JSON.string(bytes, &at))
            default: _ = try JSON.value(bytes, &at)
            }
        }
        if let epoch, let offset { position = StreamPosition(epoch: epoch, offset: offset) }
    }

    private static func ids(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> [NotificationID] {
        var ids: [NotificationID] = []
        var elements = try JSONElements(bytes, &at)
        while try elements.next(bytes, &at) {
            let text = try JSON.string(bytes, &at)
            guard ids.count < InboxSelection.maximumIDs, let id = NotificationID(bytes.extracting(text.contents)) else {
                throw .unexpected(at: at)
            }
            ids.append(id)
        }
        return ids
    }

    /// A position, or ids; not both, and not none.
    public func selection() throws(ReplyError) -> InboxSelection {
        switch (position, ids) {
        case (let position?, nil): return .upTo(position)
        case (nil, let ids?) where !ids.isEmpty: return .ids(ids)
        default: throw .badRequest("a position (cursor, or epoch and offset) or ids are needed, and not both")
        }
    }

    func someIDs() throws(ReplyError) -> [NotificationID] {
        guard case .ids(let ids) = try selection() else { throw .badRequest("this method takes ids") }
        return ids
    }

    func limit() throws(ReplyError) -> Int {
        guard let number, number >= 0 else { throw .badRequest("a number from 0 on is needed: size, or perSecond") }
        return Int(clamping: number)
    }

    func call(_ method: JSONKey?) throws(ReplyError) -> Call {
        switch method {
        case .ack?: .ack(try selection())
        case .seen?: .seen(try selection())
        case .read?: .read(try selection())
        case .unread?: .unread(try someIDs())
        case .archive?: .archive(try someIDs())
        case .window?: .window(try limit())
        case .rate?: .rate(try limit())
        case .pause?: .pause
        case .resume?: .resume
        default: throw .methodNotFound
        }
    }
}

extension Call {
    /// Reads `{"method":…,"data":{…}}`, the content of an `rpc`. Of a `send`, which names no method, `data` holds it.
    static func decode(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Result<Call, ReplyError> {
        var method: JSONKey?
        var data: Range<Int>?
        var members = try JSONMembers(bytes, &at)
        while let name = try members.present(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .method: method = JSONKey(bytes, try JSON.string(bytes, &at))
            case .data: data = try JSON.value(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        do throws(ReplyError) {
            let none: InlineArray<2, UInt8> = [UInt8(ascii: "{"), UInt8(ascii: "}")]
            var start = data?.lowerBound ?? 0
            let parameters = try CallParameters(data == nil ? none.span : bytes, &start)
            return .success(try parameters.call(method ?? parameters.method))
        } catch {
            return .failure(error)
        }
    }
}

extension JSONKey {
    static let method = JSONKey("method")
    static let data = JSONKey("data")
    static let cursor = JSONKey("cursor")
    static let ids = JSONKey("ids")
    static let size = JSONKey("size")
    static let perSecond = JSONKey("perSecond")
    static let transport = JSONKey("transport")
    static let name = JSONKey("name")
    static let ack = JSONKey("ack")
    static let seen = JSONKey("seen")
    static let read = JSONKey("read")
    static let unread = JSONKey("unread")
    static let archive = JSONKey("archive")
    static let window = JSONKey("window")
    static let rate = JSONKey("rate")
    static let pause = JSONKey("pause")
    static let resume = JSONKey("resume")
}
