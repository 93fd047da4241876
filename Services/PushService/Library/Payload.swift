internal import Models

/// The JSON that a device gets: `{"aps":{"alert":{"title","body"},"sound"},"id","type","url"}`.
struct Payload {
    /// Bytes that Apple takes.
    static let limit = 4096

    /// Nil if it does not fit even without a body.
    static func encode(_ texts: NotificationTexts, limit: Int = limit) -> [UInt8]? {
        let whole = encode(texts, body: texts.body)
        if whole.count <= limit { return whole }
        guard let body = texts.body else { return nil }
        // What is left for the body once everything else is in; its quotes, name and the mark that it was cut are counted too.
        let room = limit - encode(texts, body: "").count
        guard room >= mark.utf8.count else { return nil }
        return encode(texts, body: cut(body, to: room - mark.utf8.count) + mark)
    }

    private static let mark = "…"

    private static func encode(_ texts: NotificationTexts, body: String?) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.raw(#"{"aps":{"alert":{"#)
        // An alert without any text would not be shown.
        let title = texts.title ?? (texts.body == nil ? "New notification" : nil)
        if let title {
            writer.raw(#""title":"#)
            writer.string(title)
        }
        if let body {
            writer.raw(title == nil ? #""body":"# : #","body":"#)
            writer.string(body)
        }
        writer.raw(texts.priority == .low ? "}}" : #"},"sound":"default"}"#)
        writer.raw(#","id":"#)
        writer.string(texts.id.description)
        writer.raw(#","type":"#)
        writer.string(texts.type)
        if let url = texts.url {
            writer.raw(#","url":"#)
            writer.string(url)
        }
        writer.raw("}")
        return writer.take()
    }

    /// The longest beginning, in whole characters, that takes at most so many bytes as JSON.
    private static func cut(_ text: String, to room: Int) -> String {
        var writer = JSONWriter()
        var end = text.startIndex
        var taken = 0
        while end < text.endIndex {
            let next = text.index(after: end)
            writer.clear()
            writer.string(String(text[end..<next]))
            taken += writer.count - 2
            guard taken <= room else { break }
            end = next
        }
        return String(text[..<end])
    }
}
