internal import Models

/// The JSON that a device gets: `{"aps":{"alert":{"title","body"},"sound"},"id","type","url"}`. What is too long is cut: first the
/// body, then the title, and the url to the page that it names, or all of it, for half an address leads nowhere.
struct APNsPayload {
    /// Bytes that Apple takes.
    static let limit = 4096
    /// Bytes that a url leaves to the texts, if they need them.
    static let textRoom = 256

    /// Nil if it does not fit even without texts and url.
    static func encode(_ texts: NotificationTexts, limit: Int = limit) -> [UInt8]? {
        let whole = encode(texts)
        if whole.count <= limit { return whole }
        var cut = texts
        (cut.title, cut.body, cut.url) = (texts.title.map { _ in "" }, texts.body.map { _ in "" }, nil)
        guard encode(cut).count <= limit else { return nil }
        cut.url = url(texts.url) { url in
            var named = cut
            named.url = url
            return encode(named).count + textRoom <= limit
        }
        // The title before the body: it says what the matter is. What is left for each is what everything else leaves over.
        cut.title = texts.title.map { shortened($0, to: limit - encode(cut).count - (cut.body == nil ? 0 : mark.utf8.count)) }
        cut.body = texts.body.map { shortened($0, to: limit - encode(cut).count) }
        return encode(cut)
    }

    private static let mark = "…"

    private static func encode(_ texts: NotificationTexts) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.raw(#"{"aps":{"alert":{"#)
        // An alert without any text would not be shown.
        let title = texts.title ?? (texts.body == nil ? "New notification" : nil)
        if let title {
            writer.raw(#""title":"#)
            writer.string(title)
        }
        if let body = texts.body {
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

    /// The longest form of an address that fits: as it is, without its fragment, without its query, none.
    private static func url(_ url: String?, fits: (String) -> Bool) -> String? {
        guard let url else { return nil }
        let page = url.prefix { $0 != "#" }
        return [url, String(page), String(page.prefix { $0 != "?" })].first(where: fits)
    }

    /// As it is, or its longest beginning, in whole characters, with a mark that it was cut, in at most so many bytes as JSON.
    private static func shortened(_ text: String, to room: Int) -> String {
        var writer = JSONWriter()
        var (end, taken, marked) = (text.startIndex, 0, text.startIndex)
        while end < text.endIndex {
            let next = text.index(after: end)
            writer.clear()
            writer.string(String(text[end..<next]))
            taken += writer.count - 2
            guard taken <= room else { return room < mark.utf8.count ? "" : text[..<marked] + mark }
            end = next
            if taken <= room - mark.utf8.count { marked = end }
        }
        return text
    }
}
