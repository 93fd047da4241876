/// A notification as a client sees it. It is encoded once; every later service passes the bytes on.
public enum Notification {
    /// Writes one object on one line: `id, type, priority, title, body, url, actor, target, data, createdAt, expiresAt`,
    /// what is absent left out. `id` comes first, where `NotificationRecord.read` looks for it.
    /// - Parameters:
    ///   - createdAt: ms since 1970; when the event happened.
    ///   - expiresAt: ms since 1970.
    public static func encode(
        _ writer: inout JSONWriter, id: NotificationID, type: String, priority: Priority, event: borrowing EventData,
        createdAt: Int64, expiresAt: Int64
    ) {
        writer.raw(#"{"id":""#)
        id.append(to: &writer.bytes)
        writer.raw(#"","type":"#)
        writer.string(type)
        writer.raw(#","priority":""#)
        writer.raw(priority.rawValue)
        writer.byte(UInt8(ascii: "\""))
        splice(&writer, #","title":"#, event.bytes, event.title)
        splice(&writer, #","body":"#, event.bytes, event.body)
        splice(&writer, #","url":"#, event.bytes, event.url)
        if let object = event.actorObject {
            splice(&writer, #","actor":"#, event.bytes, object)
        } else if let actor = event.actor {
            writer.raw(#","actor":{"id":"#)
            writer.string(actor.text)
            writer.byte(UInt8(ascii: "}"))
        }
        splice(&writer, #","target":"#, event.bytes, event.target)
        splice(&writer, #","data":"#, event.bytes, event.data)
        writer.raw(#","createdAt":""#)
        Timestamp.append(createdAt, to: &writer.bytes)
        writer.raw(#"","expiresAt":""#)
        Timestamp.append(expiresAt, to: &writer.bytes)
        writer.raw(#""}"#)
    }

    private static func splice(_ writer: inout JSONWriter, _ name: String, _ bytes: [UInt8], _ range: Range<Int>?) {
        guard let range else { return }
        writer.raw(name)
        writer.line(bytes, range)
    }
}

/// The texts of a notification, for the service that writes them into a push.
public struct NotificationTexts: Equatable, Sendable {
    public var id: NotificationID
    public var type: String
    public var priority: Priority = .normal
    public var title: String?
    public var body: String?
    public var url: String?
    public var target: String?
    /// ms since 1970.
    public var createdAt: Int64?
    /// ms since 1970.
    public var expiresAt: Int64?

    public init(id: NotificationID, type: String) {
        self.id = id
        self.type = type
    }

    /// Reads a notification's bytes; throws `invalid_data`.
    public static func read(_ bytes: Span<UInt8>) throws(DeadLetter) -> NotificationTexts {
        do {
            var at = 0
            let texts = try readTexts(bytes, &at)
            try JSON.end(bytes, &at)
            guard let texts else { throw DeadLetter(.invalidData, "a notification without id or type") }
            return texts
        } catch let error as DeadLetter {
            throw error
        } catch {
            throw DeadLetter(.invalidData, "the notification is not of the form that notifications have")
        }
    }

    private static func readTexts(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> NotificationTexts? {
        var members = try JSONMembers(bytes, &at)
        var (id, type): (NotificationID?, String?)
        var texts = NotificationTexts(id: NotificationID(digest: Array(repeating: 0, count: 16)), type: "")
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .id: id = NotificationID(try text(bytes, &at) ?? "")
            case .type: type = try text(bytes, &at)
            case .priority: texts.priority = try text(bytes, &at).flatMap(Priority.init(rawValue:)) ?? .normal
            case .title: texts.title = try text(bytes, &at)
            case .body: texts.body = try text(bytes, &at)
            case .url: texts.url = try text(bytes, &at)
            case .target: texts.target = try text(bytes, &at)
            case .createdAt: texts.createdAt = try text(bytes, &at).flatMap(Timestamp.read)
            case .expiresAt: texts.expiresAt = try text(bytes, &at).flatMap(Timestamp.read)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard let id, let type else { return nil }
        texts.id = id
        texts.type = type
        return texts
    }

    private static func text(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> String? {
        try JSON.optionalString(bytes, &at).map { JSON.text(bytes, $0) }
    }
}

extension JSONKey {
    static let createdAt = JSONKey("createdAt")
    static let expiresAt = JSONKey("expiresAt")
}
