/// What a producer says in an event's data. Texts stay where they stand in the event's bytes, as JSON that was checked: they
/// are spliced into the notification and never decoded.
public struct EventData: Sendable {
    /// The bytes that all ranges point into.
    public let bytes: [UInt8]
    public var audience: Audience
    /// Who did it; is never notified of it.
    public var actor: PersonID?
    /// The actor's object, or nil where only an id was given.
    public var actorObject: Range<Int>?
    public var title: Range<Int>?
    public var body: Range<Int>?
    public var url: Range<Int>?
    public var target: Range<Int>?
    /// What a person mutes.
    public var channel: Range<Int>?
    /// Overrules the policy's.
    public var priority: Priority?
    /// Overrules the policy's; at least 1.
    public var ttlSeconds: Int64?
    public var collapseKey: Range<Int>?
    /// The producer's own object.
    public var data: Range<Int>?

    /// Reads the data of an event; throws `invalid_data`.
    public static func read(_ event: CloudEvent) throws(DeadLetter) -> EventData {
        let bytes = event.bytes.span
        var at = event.data.lowerBound
        do {
            return try read(bytes, &at, event.bytes)
        } catch let error as DeadLetter {
            throw error
        } catch {
            throw DeadLetter(.invalidData, "the data are not of the form that events have")
        }
    }

    private static func read(_ bytes: Span<UInt8>, _ at: inout Int, _ array: [UInt8]) throws -> EventData {
        var event = EventData(bytes: array, audience: .broadcast)
        var audience: Audience?
        var members = try field("data", at) { () throws(JSONError) in try JSONMembers(bytes, &at) }
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .audience: audience = try field("audience", at) { () throws(JSONError) in try Audience.read(bytes, &at) }
            case .actor: try field("actor", at) { () throws(JSONError) in try event.readActor(bytes, &at) }
            case .title: event.title = try text("title", bytes, &at)
            case .body: event.body = try text("body", bytes, &at)
            case .url: event.url = try text("url", bytes, &at)
            case .target: event.target = try text("target", bytes, &at)
            case .channel: event.channel = try text("channel", bytes, &at)
            case .collapseKey: event.collapseKey = try text("collapseKey", bytes, &at)
            case .priority: event.priority = try field("priority", at) { () throws(JSONError) in try priority(bytes, &at) }
            case .ttlSeconds:
                event.ttlSeconds = try field("ttlSeconds", at) { () throws(JSONError) in try seconds(bytes, &at) }
            case .data: event.data = try JSON.value(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard let audience else { throw DeadLetter(.invalidData, "no audience") }
        event.audience = audience
        return event
    }

    /// Names the field in the error of whatever reads it.
    private static func field<Value>(
        _ name: String, _ at: Int, _ body: () throws(JSONError) -> Value
    ) throws(DeadLetter) -> Value {
        do { return try body() } catch { throw DeadLetter(.invalidData, "\(name) is not what it must be") }
    }

    private static func text(_ name: String, _ bytes: Span<UInt8>, _ at: inout Int) throws(DeadLetter) -> Range<Int>? {
        do {
            return try JSON.optionalString(bytes, &at)?.token
        } catch { throw DeadLetter(.invalidData, "\(name) is not a string") }
    }

    private static func priority(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Priority? {
        guard let string = try JSON.optionalString(bytes, &at) else { return nil }
        guard let priority = Priority(bytes, string) else { throw .unexpected(at: at) }
        return priority
    }

    /// Bounded so that no sum with a time in ms overflows.
    private static func seconds(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Int64? {
        if try JSON.kind(bytes, &at) == .null {
            try JSON.null(bytes, &at)
            return nil
        }
        let seconds = try JSON.integer(bytes, &at)
        guard seconds >= 1, seconds <= Policy.maximumTTLSeconds else { throw .unexpected(at: at) }
        return seconds
    }

    private mutating func readActor(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) {
        switch try JSON.kind(bytes, &at) {
        case .null: try JSON.null(bytes, &at)
        case .string: actor = try identifier(bytes, &at)
        default:
            let start = at
            actor = try readActorID(bytes, &at)
            actorObject = start..<at
        }
    }
}

/// The `id` of an actor's object, with the cursor behind the object; `unexpected` without one.
func readActorID(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> PersonID {
    var members = try JSONMembers(bytes, &at)
    var person: PersonID?
    while let name = try members.next(bytes, &at) {
        if JSONKey(bytes, name) == .id { person = try identifier(bytes, &at) } else { _ = try JSON.value(bytes, &at) }
    }
    guard let person else { throw .unexpected(at: at) }
    return person
}

extension JSONKey {
    static let audience = JSONKey("audience")
    static let actor = JSONKey("actor")
    static let title = JSONKey("title")
    static let body = JSONKey("body")
    static let url = JSONKey("url")
    static let target = JSONKey("target")
    static let priority = JSONKey("priority")
    static let ttlSeconds = JSONKey("ttlSeconds")
    static let collapseKey = JSONKey("collapseKey")
}
