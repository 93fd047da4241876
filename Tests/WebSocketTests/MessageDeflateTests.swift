import HTTP
import TestSupport
import Testing

@testable import WebSocket

/// RFC 7692, with its examples.
@Suite struct MessageDeflateTests {
    private let hello = Array("Hello".utf8)

    /// Section 7.2.3, without the frame headers around them.
    static let examples: [(String, [UInt8])] = [
        ("7.2.3.1, one block", [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]),
        ("7.2.3.3, a block without compression", [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00]),
        ("7.2.3.4, a final block", [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]),
        ("7.2.3.5, two blocks", [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00]),
    ]

    @Test(arguments: examples) func theExamplesOfTheRFCAreHello(_ example: (String, [UInt8])) throws {
        let deflate = try #require(MessageDeflate())
        for _ in 0..<2 { #expect(try deflate.open(example.1, isText: true, limit: 5) == .text(hello), "\(example.0)") }
    }

    /// 7.2.3.2: the second message looks back into the first, which nobody may here.
    @Test func nothingIsKeptBetweenMessages() throws {
        let deflate = try #require(MessageDeflate())
        #expect(try deflate.open(Self.examples[0].1, isText: true, limit: 5) == .text(hello))
        #expect(throws: WebSocketViolation.invalidDeflate) {
            try deflate.open([0xF2, 0x00, 0x11, 0x00, 0x00], isText: true, limit: 5)
        }
        #expect(try deflate.open(Self.examples[0].1, isText: false, limit: 5) == .binary(hello))
        let text = Array(String(repeating: "the same ", count: 40).utf8)
        let first = deflate.compress(text)
        #expect(first != nil && deflate.compress(text) == first)
    }

    @Test func whatIsCompressedComesBack() throws {
        let deflate = try #require(MessageDeflate())
        var random = SeededGenerator(seed: TestSeed.announced())
        for size in [0, 1, 2, 30, 200, 4_000, 5_000, 40_000, 200_000] {
            for letters in [2, 20, 256] {
                let data = (0..<size).map { _ in UInt8(Int.random(in: 0..<letters, using: &random)) }
                guard let compressed = deflate.compress(data) else {
                    // Only what is short or random is no shorter in another form.
                    #expect(letters == 256 || size < 1_000)
                    continue
                }
                #expect(compressed.count < data.count)
                #expect(try deflate.open(compressed, isText: false, limit: size) == .binary(data))
            }
        }
    }

    @Test func aBombIsRefusedAtTheLimit() throws {
        let deflate = try #require(MessageDeflate())
        let bomb = try #require(deflate.compress([UInt8](repeating: 0x20, count: 20_000_000)))
        #expect(bomb.count < 64 * 1024)
        for limit in [0, 1, 16_383, 16_384, 65_536, 19_999_999] {
            #expect(throws: WebSocketViolation.tooBig) { try deflate.open(bomb, isText: true, limit: limit) }
        }
        let fits = try deflate.open(bomb, isText: true, limit: 20_000_000)
        #expect(fits == .text([UInt8](repeating: 0x20, count: 20_000_000)))
        // Empty blocks inflate to nothing, however many: what they cost is what was sent.
        let nothing = [UInt8](repeating: 0, count: 0) + Array(repeating: [0x00, 0x00, 0x00, 0xFF, 0xFF], count: 10_000).flatMap { $0 }
        #expect(try deflate.open(nothing + [0], isText: true, limit: 5) == .text([]))
    }

    @Test func whatIsBrokenIsRefused() throws {
        let deflate = try #require(MessageDeflate())
        let broken: [[UInt8]] = [
            [], [0xFF], [0x06], [0xF2, 0x48], [0x00, 0x05, 0x00, 0xFA, 0xFE, 0x48], [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x01],
            [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07],
        ]
        for bytes in broken {
            #expect(throws: WebSocketViolation.invalidDeflate, "\(bytes)") { try deflate.open(bytes, isText: true, limit: 100) }
        }
        let text = deflate.compress([UInt8](repeating: 0xC3, count: 100))
        #expect(throws: WebSocketViolation.invalidText) { try deflate.open(try #require(text), isText: true, limit: 100) }
        let cut = deflate.compress(Array(String(repeating: "a", count: 99).utf8) + [0xC3])
        #expect(throws: WebSocketViolation.invalidText) { try deflate.open(try #require(cut), isText: true, limit: 100) }
        #expect(try deflate.open(Self.examples[0].1, isText: true, limit: 5) == .text(hello), "and goes on")
    }

    /// Nothing that is sent makes it trap, hang, or answer more than the limit.
    @Test func anyBytesAreAMessageOrRefused() throws {
        let deflate = try #require(MessageDeflate())
        var random = SeededGenerator(seed: TestSeed.announced())
        for round in 0..<3_000 {
            let count = round % 60
            var data = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            if round % 2 == 0, let good = deflate.compress(Array(String(repeating: "abc\(round)", count: 20).utf8)) {
                data = good
                data[Int.random(in: 0..<data.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            if case .binary(let message)? = try? deflate.open(data, isText: false, limit: 500) { #expect(message.count <= 500) }
        }
    }

    @Test func aStoredHeadAndASharedTailAreOneMessage() throws {
        let deflate = try #require(MessageDeflate())
        let tail = Array(String(repeating: "tail ", count: 50).utf8)
        let shared = try #require(deflate.compress(tail))
        for head in ["", "head ", String(repeating: "h", count: 300)].map({ Array($0.utf8) }) {
            var message: [UInt8] = []
            MessageDeflate.appendStoredBlockHeader(length: head.count, to: &message)
            #expect(message.count == MessageDeflate.storedBlockHeaderLength)
            #expect(try deflate.open(message + head + shared, isText: true, limit: 1_000) == .text(head + tail))
        }
    }

    @Test func framesAreCompressedWhereItIsWorthIt() throws {
        let deflate = try #require(MessageDeflate())
        for size in [1, 100, 125, 126, 70_000] {
            let payload = [UInt8](repeating: 0x61, count: size)
            let made = deflate.frame(of: WebSocketFrame.text(payload))
            guard size > 1 else {
                #expect(made == WebSocketFrame.text(payload))
                continue
            }
            let header = WebSocketFrame.headerLength(Int(made[1]))
            #expect(made[0] == 0xC1 && made.count < size)
            #expect(try deflate.open(Array(made.dropFirst(header == 2 ? 2 : 4)), isText: true, limit: size) == .text(payload))
        }
        let ping = WebSocketFrame.encode(.ping, [UInt8](repeating: 1, count: 100))
        #expect(deflate.frame(of: ping) == ping, "never a control frame")
    }

    // MARK: Frames

    private func read(_ bytes: [UInt8], allowsCompression: Bool = true, pieces: Int = .max) -> ([WebSocketEvent], UInt16?) {
        var parser = WebSocketParser(allowsCompression: allowsCompression)
        var events: [WebSocketEvent] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(pieces))
            rest = rest.dropFirst(pieces)
            var offset = 0
            do throws(WebSocketViolation) {
                while let event = try parser.next(piece.span, at: &offset, limit: 1_000) { events.append(event) }
            } catch {
                return (events, error.code)
            }
        }
        return (events, nil)
    }

    /// RFC 7692 section 6: RSV1 on the first frame of a message, where it was agreed on.
    @Test func rsv1StandsOnAMessagesFirstFrame() {
        let (first, second): ([UInt8], [UInt8]) = ([0xF2, 0x48, 0xCD], [0xC9, 0xC9, 0x07, 0x00])
        let fragments = frame(1, first, final: false, reserved: 4) + frame(9, [1]) + frame(0, second)
        for pieces in [1, 3, Int.max] {
            let (events, code) = read(fragments + frame(1, hello) + frame(2, first + second, reserved: 4), pieces: pieces)
            #expect(code == nil)
            #expect(
                events == [
                    .ping([1]), .compressed(first + second, isText: true), .text(hello), .compressed(first + second, isText: false),
                ])
        }
        #expect(read(fragments, allowsCompression: false).1 == 1002)
        for wrong in [
            frame(1, first, final: false, reserved: 4) + frame(0, second, reserved: 4), frame(9, [], reserved: 4),
            frame(8, [], reserved: 4), frame(1, [], reserved: 2), frame(1, [], reserved: 1), frame(1, [], reserved: 6),
            frame(1, hello, final: false) + frame(0, hello, reserved: 4),
        ] {
            #expect(read(wrong).1 == 1002)
        }
        // A plain message behind a compressed one is text again, and checked.
        #expect(read(frame(1, [0xFF], reserved: 4)).1 == nil && read(frame(1, [0xFF], reserved: 4) + frame(1, [0xFF])).1 == 1007)
    }

    // MARK: Negotiation

    private func answer(_ offers: [String], deflates: Bool = true) throws -> String? {
        let headers =
            [
                ("Host", "a"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"),
            ] + offers.map { ("Sec-WebSocket-Extensions", $0) }
        let opening = try WebSocketHandshake.answer(HTTPRequest(path: "/", headers: headers), deflates: deflates).get()
        let lines = String(decoding: opening.head, as: UTF8.self).split(separator: "\r\n")
        let line = lines.first { $0.hasPrefix("Sec-WebSocket-Extensions: ") }
        #expect(opening.isDeflating == (line != nil))
        return line.map { String($0.dropFirst(26)) }
    }

    /// Section 7.1.
    @Test func offersAreTakenOrNot() throws {
        let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        let accepted: [(String, String)] = [
            ("permessage-deflate", plain), ("PerMessage-Deflate ; client_max_window_bits", plain),
            ("permessage-deflate; client_max_window_bits=8; client_no_context_takeover", plain),
            ("foo, permessage-deflate; server_no_context_takeover", plain),
            ("permessage-deflate; server_max_window_bits=10, permessage-deflate", plain),
            ("permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", plain + "; server_max_window_bits=12"),
            ("permessage-deflate; server_max_window_bits=\"15\"", plain + "; server_max_window_bits=12"),
            ("a; b=\"x, permessage-deflate\", permessage-deflate", plain),
        ]
        for (offer, answered) in accepted { #expect(try answer([offer]) == answered, "\(offer)") }
        #expect(try answer(["foo", "permessage-deflate"]) == plain)
        let declined = [
            "", "foo", "permessage-deflate; x", "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=11", "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=012", "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=x", "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover", "permessage-deflate;;=",
            "a; b=\"permessage-deflate, permessage-deflate\"",
        ]
        for offer in declined { #expect(try answer([offer]) == nil, "\(offer)") }
        #expect(try answer(["permessage-deflate"], deflates: false) == nil && answer([]) == nil)
    }
}
