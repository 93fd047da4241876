internal import Models

/// An event in the making, from the options of `produce`.
struct EventDraft {
    enum Recipients {
        case user(String)
        case users([String])
        case channel(String)
    }

    var id: String
    var source: String
    var type: String
    var time: Int64
    var recipients: Recipients
    /// Text fields of the data, in the order they are written; those without a value are left out.
    var texts: [(name: String, value: String?)] = []
    var ttlSeconds: Int64?
    /// JSON as it was given.
    var data: String?
    var partitionKey: String?

    /// CloudEvents 1.0 in structured mode.
    func encoded() -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.raw(#"{"specversion":"1.0","id":"#)
        writer.string(id)
        writer.raw(#","source":"#)
        writer.string(source)
        writer.raw(#","type":"#)
        writer.string(type)
        writer.raw(#","time":"#)
        writer.string(Timestamp.text(time))
        if let partitionKey {
            writer.raw(#","partitionkey":"#)
            writer.string(partitionKey)
        }
        writer.raw(#","datacontenttype":"application/json","data":{"audience":"#)
        writeRecipients(&writer)
        for (name, value) in texts {
            guard let value else { continue }
            writer.raw(",\"\(name)\":")
            writer.string(value)
        }
        if let ttlSeconds {
            writer.raw(#","ttlSeconds":"#)
            writer.integer(ttlSeconds)
        }
        if let data { writer.raw(#","data":"# + data) }
        writer.raw("}}")
        return writer.take()
    }

    private func writeRecipients(_ writer: inout JSONWriter) {
        switch recipients {
        case .user(let person):
            writer.raw(#"{"user":"#)
            writer.string(person)
        case .users(let people):
            writer.raw(#"{"users":["#)
            for (index, person) in people.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.string(person)
            }
            writer.raw("]")
        case .channel(let channel):
            writer.raw(#"{"channel":"#)
            writer.string(channel)
        }
        writer.raw("}")
    }
}
