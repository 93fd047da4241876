import Foundation
import TestSupport

/// A WebSocket client on a raw socket, as a test sees it: what it was sent, in order, without any deduplication.
final class WebSocketPeer {
    let socket: RawSocket
    private(set) var head = ""
    private(set) var replies: [[String: Any]] = []
    private(set) var titles: [String] = []
    private(set) var cursors: [String] = []
    /// Pushes of channels, whole.
    private(set) var pushes: [[String: Any]] = []
    private(set) var pings = 0
    /// What was pushed about what is unread.
    private(set) var reads: [Counts] = []
    /// Offsets of pushed subscriptions.
    private(set) var subscribed: [Int] = []
    private(set) var closeCode: Int?
    private(set) var closeReason = ""
    var answersPings = true

    init?(_ port: Int, query: String = "", headers: String = "", receiveBuffer: Int32? = nil) {
        guard let socket = RawSocket(port: port, receiveBuffer: receiveBuffer) else { return nil }
        self.socket = socket
        socket.send(
            "GET /connection/websocket\(query) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(headers)\r\n")
        head = socket.take(through: "\r\n\r\n") ?? ""
    }

    var status: Int { Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0 }

    func frame(_ opcode: UInt8, _ payload: [UInt8]) {
        let mask: [UInt8] = [1, 2, 3, 4]
        var bytes: [UInt8] = [0x80 | opcode]
        if payload.count < 126 {
            bytes.append(0x80 | UInt8(payload.count))
        } else {
            bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        }
        socket.send(bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] })
    }

    func send(_ text: String) { frame(1, Array(text.utf8)) }

    func connect(_ token: String, epoch: String? = nil, offset: Int = 0) {
        let subs = epoch.map { #","subs":{"inbox":{"recover":true,"epoch":"\#($0)","offset":\#(offset)}}"# } ?? ""
        send(#"{"id":1,"connect":{"token":"\#(token)"\#(subs)}}"#)
    }

    /// The `inbox` of the connect's reply.
    var inbox: [String: Any] {
        let connect = replies.first?["connect"] as? [String: Any]
        return (connect?["subs"] as? [String: Any])?["inbox"] as? [String: Any] ?? [:]
    }

    /// Reads frames until the condition holds; false if it does not in time or the connection ends.
    func read(_ seconds: Double = 60, until condition: (WebSocketPeer) -> Bool) -> Bool {
        let deadline = Date() + seconds
        while !condition(self) {
            let left = deadline.timeIntervalSinceNow
            guard left > 0, closeCode == nil, next(Int32(left * 1000) + 1) else { return condition(self) }
        }
        return true
    }

    func readTitles(_ count: Int, _ seconds: Double = 60) -> [String] {
        _ = read(seconds) { $0.titles.count >= count }
        return titles
    }

    private func next(_ milliseconds: Int32) -> Bool {
        guard let start = socket.take(2, milliseconds: milliseconds) else { return false }
        var length = Int(start[1] & 0x7F)
        if length >= 126 {
            guard let more = socket.take(length == 126 ? 2 : 8, milliseconds: milliseconds) else { return false }
            length = more.reduce(0) { $0 << 8 | Int($1) }
        }
        guard let payload = socket.take(length, milliseconds: milliseconds) else { return false }
        if start[0] & 0x0F == 8 {
            closeCode = payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : 1005
            closeReason = String(decoding: payload.dropFirst(2), as: UTF8.self)
            return true
        }
        for line in payload.split(separator: 0x0A) { take(line) }
        return true
    }

    private func take(_ line: ArraySlice<UInt8>) {
        guard let message = (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any] else { return }
        if message.isEmpty {
            pings += 1
            if answersPings { send("{}") }
        } else if let push = message["push"] as? [String: Any], (push["channel"] as? String)?.utf8.starts(with: "channel:".utf8) == true {
            pushes.append(push)
        } else if let push = message["push"] as? [String: Any], let publication = push["pub"] as? [String: Any] {
            take(publication)
        } else if let push = message["push"] as? [String: Any] {
            let data = (push["message"] as? [String: Any])?["data"] as? [String: Any]
            if let read = data?["read"] as? [String: Any] { reads.append(Counts(read)) }
            if let subscribe = push["subscribe"] as? [String: Any] { subscribed.append(subscribe["offset"] as? Int ?? -1) }
        } else {
            replies.append(message)
            guard message["connect"] != nil else { return }
            for publication in inbox["publications"] as? [[String: Any]] ?? [] { take(publication) }
        }
    }

    private func take(_ publication: [String: Any]) {
        titles.append((publication["data"] as? [String: Any])?["title"] as? String ?? "?")
        cursors.append((publication["tags"] as? [String: Any])?["cursor"] as? String ?? "?")
    }

    /// Calls a method and waits for its answer; nil for an error, or none in time.
    func call(_ method: String, _ data: String = "{}") -> [String: Any]? {
        let id = replies.count + 1_000
        send(#"{"id":\#(id),"rpc":{"method":"\#(method)","data":\#(data)}}"#)
        guard read(until: { $0.replies.last?["id"] as? Int == id }) else { return nil }
        return (replies.last?["rpc"] as? [String: Any])?["data"] as? [String: Any]
    }

    var errorCode: Int? { (replies.last?["error"] as? [String: Any])?["code"] as? Int }
}

/// An event stream on a raw socket.
final class EventPeer {
    let socket: RawSocket
    let head: String

    init?(_ port: Int, query: String = "", headers: String = "", receiveBuffer: Int32? = nil) {
        guard let socket = RawSocket(port: port, receiveBuffer: receiveBuffer) else { return nil }
        self.socket = socket
        socket.send("GET /connection/sse\(query) HTTP/1.1\r\nHost: x\r\n\(headers)\r\n")
        head = socket.take(through: "\r\n\r\n") ?? ""
    }

    var status: Int { Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0 }

    /// The next event that is no comment.
    func next() -> String? {
        while let event = socket.take(through: "\n\n", milliseconds: 30_000) { if !event.hasPrefix(":") { return event } }
        return nil
    }
}

/// An unread count and its revision.
struct Counts: Equatable {
    var unread: Int
    var revision: Int

    init(_ unread: Int, _ revision: Int) {
        self.unread = unread
        self.revision = revision
    }

    init(_ json: [String: Any]) {
        unread = json["unread"] as? Int ?? -1
        revision = json["revision"] as? Int ?? -1
    }
}
