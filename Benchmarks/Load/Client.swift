import EventLoop
import Network

/// What the clients of one run have seen together.
final class Tally {
    /// Nanoseconds from the mark in a delivery to its arrival; kept only where a run asks for it.
    var latencies: [UInt64] = []
    var keepsLatencies = false
    var deliveries = 0
    var connected = 0
    var failed = 0
    var lastDelivery: UInt64 = 0
    var onConnected: () -> Void = {}
    var onDelivery: () -> Void = {}
}

/// One WebSocket client that speaks just enough to be a subscriber: connect, answer pings, count deliveries as they arrive.
final class Client: ByteStreamHandler {
    private enum State { case upgrading, connecting, live }
    private let stream: ByteStream
    private let tally: Tally
    private let token: String
    private var state = State.upgrading
    /// The beginning of a frame whose end has not come yet.
    private var rest: [UInt8] = []

    init(stream: ByteStream, host: String, path: String, token: String, tally: Tally) {
        self.stream = stream
        self.tally = tally
        self.token = token
        stream.handler = self
        let request = """
            GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
            """
        stream.write(Array(request.utf8))
        stream.resumeReading()
    }

    func received(_ bytes: Span<UInt8>) {
        if rest.isEmpty {
            let used = take(bytes)
            for index in used..<bytes.count { rest.append(bytes[index]) }
        } else {
            for index in bytes.indices { rest.append(bytes[index]) }
            let whole = rest
            let used = take(whole.span)
            rest = used == whole.count ? [] : Array(whole[used...])
        }
    }

    func drained() {}

    func closed(_ reason: StreamClosure) {
        if state == .live { tally.connected -= 1 }
        tally.failed += 1
        tally.onConnected()
    }

    /// Takes whole messages from the front; answers how many bytes that was.
    private func take(_ bytes: Span<UInt8>) -> Int {
        var position = 0
        if state == .upgrading {
            guard let end = endOfHead(bytes) else { return 0 }
            guard bytes[9] == UInt8(ascii: "1"), bytes[10] == UInt8(ascii: "0") else {
                stream.close()
                return bytes.count
            }
            position = end
            state = .connecting
            send(#"{"id":1,"connect":{"token":"\#(token)","name":"bench"}}"#)
        }
        while let (start, end) = nextFrame(bytes, from: position) {
            handle(bytes, start, end)
            position = end
        }
        return position
    }

    private func endOfHead(_ bytes: Span<UInt8>) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 3..<bytes.count where bytes[index] == 10 && bytes[index - 2] == 10 { return index + 1 }
        return nil
    }

    private func nextFrame(_ bytes: Span<UInt8>, from: Int) -> (start: Int, end: Int)? {
        guard bytes.count >= from + 2 else { return nil }
        var length = Int(bytes[from + 1] & 0x7F)
        var start = from + 2
        let extended = length == 126 ? 2 : length == 127 ? 8 : 0
        if extended > 0 {
            guard bytes.count >= start + extended else { return nil }
            length = 0
            for index in start..<start + extended { length = length << 8 | Int(bytes[index]) }
            start += extended
        }
        return bytes.count >= start + length ? (start, start + length) : nil
    }

    private func handle(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) {
        if state == .connecting {
            state = .live
            tally.connected += 1
            tally.onConnected()
        }
        if end - start == 2 { return send("{}") }
        for mark in Marks(bytes, start, end).times {
            tally.deliveries += 1
            tally.lastDelivery = EventLoop.monotonicNanoseconds()
            if tally.keepsLatencies { tally.latencies.append(tally.lastDelivery &- mark) }
            tally.onDelivery()
        }
    }

    private func send(_ text: String) {
        let payload = Array(text.utf8)
        var frame: [UInt8] = [0x81]
        if payload.count < 126 {
            frame.append(0x80 | UInt8(payload.count))
        } else {
            frame += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        }
        frame += [0, 0, 0, 0]  // a mask of zeros leaves the payload as it is
        stream.write(frame, payload)
    }
}

/// The `"ts":<nanoseconds>` marks of a frame: one for each delivery in it.
private struct Marks {
    var times: [UInt64] = []

    init(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) {
        let mark: StaticString = "\"ts\":"
        let needle = mark.withUTF8Buffer { Array($0) }
        var index = start
        while index + needle.count < end {
            guard bytes[index] == needle[0], matches(bytes, index, needle) else {
                index += 1
                continue
            }
            index += needle.count
            var value: UInt64 = 0
            while index < end, bytes[index] >= 48, bytes[index] <= 57 {
                value = value &* 10 &+ UInt64(bytes[index] - 48)
                index += 1
            }
            times.append(value)
        }
    }

    private func matches(_ bytes: Span<UInt8>, _ at: Int, _ needle: [UInt8]) -> Bool {
        for offset in 0..<needle.count where bytes[at + offset] != needle[offset] { return false }
        return true
    }
}
