import Centrifuge
import HTTP
import Models
import Store
import Tokens
import WebSocket

/// What the gateway says over SSE (the HTML standard, "Server-sent events").
enum EventStream {
    /// The response's head. It ends with the connection, so it needs no length and no chunks.
    /// - Parameter added: further fields of this answer, for example those of CORS. None of them holds a line break.
    static func head(_ added: [(name: String, value: String)]) -> [UInt8] {
        HTTPResponse(status: 200, headers: fields + added).encodedStreamHead()
    }

    private static let fields: [(name: String, value: String)] = [
        ("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"),
    ]

    /// A whole stream that only says when to come back, in ms. An EventSource stops for good at any status but 200.
    static func comeBack(after milliseconds: UInt64) -> HTTPResponse {
        HTTPResponse(status: 200, headers: fields, body: retry(milliseconds))
    }

    static let comment = Array(":\n\n".utf8)

    /// How long to wait before reconnecting, in ms.
    static func retry(_ milliseconds: UInt64) -> [UInt8] { Array("retry: \(milliseconds)\n\n".utf8) }

    static func connected(
        retry milliseconds: UInt64, position: StreamPosition, key: TagKey?, recovered: Bool, unread: Int
    ) -> [UInt8] {
        Array("retry: \(milliseconds)\nid: ".utf8) + Cursor(position).bytes(key)
            + Array(("\nevent: connected\n" + #"data: {"recovered":\#(recovered),"unread":\#(unread)}"# + "\n\n").utf8)
    }

    /// An event that says how many are unread. It has no `id:`, so the client's cursor stays where it is.
    static func countsEvent(_ counts: InboxCounts) -> [UInt8] {
        Array("event: read\ndata: ".utf8) + counts.json + Array("\n\n".utf8)
    }

    private static let idStart = Array("id: ".utf8)
    private static let dataStart = Array("\ndata: ".utf8)

    /// What stands before the notification in an event. This part differs from client to client.
    static func eventHead(_ position: StreamPosition, _ key: TagKey?) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(80)
        bytes.append(contentsOf: idStart)
        Cursor(position).append(to: &bytes, key)
        bytes.append(contentsOf: dataStart)
        return bytes
    }
}

extension Cursor {
    /// Appends the cursor, with a tag if there is a key.
    func append(to bytes: inout [UInt8], _ key: TagKey?) {
        let start = bytes.count
        append(to: &bytes)
        key?.appendTag(to: &bytes, from: start)
    }

    func bytes(_ key: TagKey?) -> [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes, key)
        return bytes
    }
}
