import Testing

@testable import Carillonctl

@Suite struct StreamTests {
    private let stream = """
        retry: 1500\n: hello\nid: 1.5-0\nevent: connected\ndata: {"unread":3}\n\nid: 1.5-1\ndata: one\ndata: two\n\n\
        data:no blank\r\n\r\ndata\r\revent: read\ndata: {}\n\nid: a\u{0}b\nodd: 1\n\n
        """
    private let expected = [
        StreamedEvent(id: "1.5-0", name: "connected", data: "{\"unread\":3}"),
        StreamedEvent(id: "1.5-1", name: "message", data: "one\ntwo"),
        StreamedEvent(id: "1.5-1", name: "message", data: "no blank"), StreamedEvent(id: "1.5-1", name: "message", data: ""),
        StreamedEvent(id: "1.5-1", name: "read", data: "{}"),
    ]

    @Test func anySplitGivesTheSame() throws {
        let bytes = Array(stream.utf8)
        for cut in 0...bytes.count {
            var parser = EventStreamParser()
            var events = try parser.read(Array(bytes[..<cut]))
            events += try parser.read(Array(bytes[cut...]))
            #expect(events == expected, "cut at \(cut)")
            #expect(parser.retry == 1500)
            #expect(parser.lastID == "1.5-1")
        }
        var parser = EventStreamParser()
        var events: [StreamedEvent] = []
        for byte in bytes { events += try parser.read([byte]) }
        #expect(events == expected)
    }

    @Test func endlessLineIsRefused() throws {
        var parser = EventStreamParser()
        _ = try parser.read(Array(repeating: 0x61, count: EventStreamParser.longestLine))
        #expect(throws: EventStreamParser.TooLong.self) { try parser.read([0x61]) }
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\nabcdef",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type:  Text/Event-Stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "3\r\nabc\r\n2;x=y\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
    ])
    func answersAreRead(_ text: String) throws {
        let bytes = Array(text.utf8)
        for cut in 0...bytes.count {
            var reader = AnswerReader()
            let content = try reader.read(Array(bytes[..<cut])) + reader.read(Array(bytes[cut...]))
            #expect(String(decoding: content, as: UTF8.self) == "abcdef", "cut at \(cut)")
            #expect(reader.status == 200)
            #expect(reader.contentType.hasPrefix("text/event-stream"))
        }
    }

    @Test(arguments: ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
    func nonsenseIsMalformed(_ text: String) {
        var reader = AnswerReader()
        #expect(throws: AnswerReader.Malformed.self) { try reader.read(Array(text.utf8)) }
    }

    @Test func lineOfANotificationCannotSteerATerminal() {
        let shown = ShownNotification(type: "message.direct", title: "a\u{1b}[2Jb", body: "c\nd", priority: "high")
        #expect(shown.line(at: 45_005_000) == "12:30:05  message.direct  !  a\u{fffd}[2Jb: c\u{fffd}d")
    }
}
