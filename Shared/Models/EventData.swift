/// What a producer says in the data of an event. Texts stay where they stand in the event's bytes, as JSON that was checked:
/// they are copied into the notification and never decoded.
public struct EventData: Sendable {
    /// The bytes that all ranges point into.
    public let bytes: [UInt8]
    public var audience: Audience
    /// The person who did it. That person is not notified of it.
    public var actor: PersonID?
    /// The object of the actor; nil if the event gives only an id.
    public var actorObject: Range<Int>?
    public var title: Range<Int>?
    public var body: Range<Int>?
    public var url: Range<Int>?
    public var target: Range<Int>?
    /// What a person mutes.
    public var channel: Range<Int>?
    /// Replaces the policy's priority.
    public var priority: Priority?
    /// Replaces the policy's time to live, in seconds; at least 1.
    public var ttlSeconds: Int64?
    public var collapseKey: Range<Int>?
    /// The producer's own object, which clients get as it is.
    public var data: Range<Int>?
    /// The name of the texts that stand in place of title and body.
    public var template: Range<Int>?
    /// The names of members that are not part of the form, as they stand in the bytes; at most `maximumUnknown`.
    public var unknown: [Range<Int>] = []

    /// How many unknown members are remembered, so that the producer can be told of them.
    public static let maximumUnknown = 8

    /// Reads the data of an event; throws `invalid_data`, which names the member.
    public static func read(_ event: CloudEvent) throws(DeadLetter) -> EventData {
        let bytes = event.bytes.span
        var at = event.data.lowerBound
        do {
            return try read(bytes, &at, event.bytes)
        } catch let misfit as Misfit {
            throw DeadLetter(.invalidData, misfit.inside("data").text)
        } catch {
            throw DeadLetter(.invalidData, "data must be an object")
        }
    }

    private static func read(_ bytes: Span<UInt8>, _ at: inout Int, _ array: [UInt8]) throws -> EventData {
        var event = EventData(bytes: array, audience: .broadcast)
        var audience: Audience?
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .audience: audience = try Audience.read(bytes, &at)
            case .actor: try event.readActor(bytes, &at)
            case .title: event.title = try Form.text(bytes, &at, "title")?.token
            case .body: event.body = try Form.text(bytes, &at, "body")?.token
            case .url: event.url = try Form.text(bytes, &at, "url")?.token
            case .target: event.target = try Form.text(bytes, &at, "target")?.token
            case .channel: event.channel = try Form.text(bytes, &at, "channel")?.token
            case .collapseKey: event.collapseKey = try Form.text(bytes, &at, "collapseKey")?.token
            case .template: event.template = try Form.text(bytes, &at, "template")?.token
            case .priority: event.priority = try priority(bytes, &at)
            case .ttlSeconds: event.ttlSeconds = try seconds(bytes, &at)
            case .data: event.data = try Form.isAbsent(bytes, &at) ? nil : JSON.value(bytes, &at)
            case .arguments: _ = try JSON.value(bytes, &at)
            default:
                if try Form.isAbsent(bytes, &at) { continue }
                if event.unknown.count < maximumUnknown { event.unknown.append(name.contents) }
                _ = try JSON.value(bytes, &at)
            }
        }
        guard let audience else { throw Misfit("audience", "is missing") }
        event.audience = audience
        return event
    }

    private static func priority(_ bytes: Span<UInt8>, _ at: inout Int) throws -> Priority? {
        let must = "high, normal or low"
        guard let string = try Form.text(bytes, &at, "priority", must: must) else { return nil }
        guard let priority = Priority(bytes, string) else { throw Misfit("priority", "must be \(must)") }
        return priority
    }

    /// Reads a time to live in seconds. Its bound keeps every sum with a time in ms from overflowing.
    private static func seconds(_ bytes: Span<UInt8>, _ at: inout Int) throws -> Int64? {
        if try Form.isAbsent(bytes, &at) { return nil }
        let misfit = { Misfit("ttlSeconds", "must be a whole number from 1 to \(Policy.maximumTTLSeconds)") }
        guard try JSON.kind(bytes, &at) == .number, let seconds = try? JSON.integer(bytes, &at) else { throw misfit() }
        guard seconds >= 1, seconds <= Policy.maximumTTLSeconds else { throw misfit() }
        return seconds
    }

    private mutating func readActor(_ bytes: Span<UInt8>, _ at: inout Int) throws {
        switch try JSON.kind(bytes, &at) {
        case .null: try JSON.null(bytes, &at)
        case .string: actor = try Form.identifier(bytes, &at, "actor")
        case .object:
            let start = at
            var members = try JSONMembers(bytes, &at)
            var person: PersonID?
            while let name = try members.next(bytes, &at) {
                if JSONKey(bytes, name) == .id {
                    person = try Form.identifier(bytes, &at, "actor.id")
                } else {
                    _ = try JSON.value(bytes, &at)
                }
            }
            guard let person else { throw Misfit("actor.id", "is missing") }
            actor = person
            actorObject = start..<at
        case let kind: throw Misfit("actor", "must be an object or text, not \(kind.words)")
        }
    }
}

/// Reads the `id` of an actor's object and moves the cursor behind the object. Throws `unexpected` if there is none.
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
    static let template = JSONKey("template")
    static let arguments = JSONKey("args")
}
