import TestSupport
import Testing

@testable import WebSocket

/// A client's frame; every part can be made wrong.
func frame(
    _ opcode: UInt8, _ payload: [UInt8], final: Bool = true, masked: Bool = true, reserved: UInt8 = 0,
    lengthForm: Int? = nil
) -> [UInt8] {
    let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
    var bytes: [UInt8] = [(final ? 0x80 : 0) | reserved << 4 | opcode]
    let form = lengthForm ?? (payload.count < 126 ? 0 : payload.count < 65_536 ? 2 : 8)
    let maskBit: UInt8 = masked ? 0x80 : 0
    switch form {
    case 0: bytes.append(maskBit | UInt8(payload.count))
    default:
        bytes.append(maskBit | (form == 2 ? 126 : 127))
        for index in (0..<form).reversed() { bytes.append(UInt8(truncatingIfNeeded: payload.count >> (8 * index))) }
    }
    guard masked else { return bytes + payload }
    return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}

private struct Reading: Equatable {
    var events: [WebSocketEvent] = []
    var violation: WebSocketViolation?
    var isIdle = true

    init(_ pieces: [[UInt8]], limit: Int = 65_536) {
        var parser = WebSocketParser()
        do {
            for piece in pieces {
                var offset = 0
                while let event = try parser.next(piece.span, at: &offset, limit: limit) { events.append(event) }
            }
        } catch {
            violation = error
        }
        isIdle = parser.isIdle
    }
}

@Suite struct WebSocketParserTests {
    static let samples: [[UInt8]] = [
        frame(1, Array("hello".utf8)) + frame(9, [1, 2, 3]) + frame(10, []) + frame(2, [0, 255]),
        frame(1, Array("hel".utf8), final: false) + frame(9, [7]) + frame(0, Array("lo ".utf8), final: false)
            + frame(0, Array("é".utf8)) + frame(1, []),
        frame(1, [0xF0, 0x9F], final: false) + frame(0, [0x98], final: false) + frame(0, [0x80]),
        frame(1, Array("x".utf8)) + frame(8, [0x03, 0xE8] + Array("bye".utf8)) + frame(1, Array("ignored".utf8)),
        frame(2, [UInt8](repeating: 9, count: 300)) + frame(8, []),
        frame(1, Array("ok".utf8)) + frame(1, [0xC3, 0x28]),
        frame(1, [0xE2, 0x82], final: true),
    ]

    @Test(arguments: samples) func anySplitReadsTheSame(_ bytes: [UInt8]) {
        let whole = Reading([bytes])
        for split in 0...bytes.count {
            #expect(Reading([Array(bytes[..<split]), Array(bytes[split...])]) == whole, "split at \(split)")
        }
        #expect(Reading(bytes.map { [$0] }) == whole)
    }

    @Test func randomInputNeverTrapsAndSplitsTheSame() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5_000 {
            var bytes = Self.samples.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<min(bytes.count, 24), using: &random)
                bytes[at] = UInt8.random(in: 0...255, using: &random)
            }
            let whole = Reading([bytes])
            let split = Int.random(in: 0...bytes.count, using: &random)
            #expect(Reading([Array(bytes[..<split]), Array(bytes[split...])]) == whole, "TEST_SEED=\(seed) \(bytes)")
        }
    }

    @Test func readsMessagesAndControlFramesBetweenFragments() {
        #expect(
            Reading([Self.samples[1]]).events == [.ping([7]), .text(Array("hello é".utf8)), .text([])])
        #expect(Reading([Self.samples[2]]).events == [.text([0xF0, 0x9F, 0x98, 0x80])])
        let closing = Reading([Self.samples[3]])
        #expect(closing.events == [.text([120]), .close(code: 1000)])
        #expect(closing.violation == nil && closing.isIdle)
        #expect(Reading([frame(8, [])]).events == [.close(code: nil)])
    }

    @Test func holdsNothingBetweenMessages() {
        #expect(Reading([frame(1, [65])]).isIdle)
        #expect(!Reading([frame(1, [65], final: false)]).isIdle)
        #expect(!Reading([Array(frame(1, [65]).dropLast())]).isIdle)
        #expect(MemoryLayout<WebSocketParser>.size <= 9)
    }

    /// Sections 5.1 to 5.6 and 7.4: each breach and its code.
    @Test(
        arguments: [
            ("5.1 unmasked", frame(1, [65], masked: false), 1002), ("5.2 reserved bit 1", frame(1, [65], reserved: 4), 1002),
            ("5.2 reserved bit 3", frame(1, [65], reserved: 1), 1002), ("5.2 opcode 3", frame(3, []), 1002),
            ("5.2 opcode 11", frame(11, []), 1002),
            ("5.2 16-bit form for 125", frame(1, [UInt8](repeating: 65, count: 125), lengthForm: 2), 1002),
            ("5.2 64-bit form for 126", frame(1, [UInt8](repeating: 65, count: 126), lengthForm: 8), 1002),
            ("5.2 a 64-bit length", [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], 1002),
            ("5.4 continuation of nothing", frame(0, [65]), 1002),
            ("5.4 a message inside a message", frame(1, [65], final: false) + frame(1, [65]), 1002),
            ("5.5 a control frame in fragments", frame(9, [65], final: false), 1002),
            ("5.5 a long control frame", frame(9, [UInt8](repeating: 65, count: 126)), 1002),
            ("5.5.1 half a code", frame(8, [3]), 1002), ("7.4.1 code 1005", frame(8, [0x03, 0xED]), 1002),
            ("7.4.1 code 1006", frame(8, [0x03, 0xEE]), 1002), ("7.4.1 code 1015", frame(8, [0x03, 0xF7]), 1002),
            ("7.4.2 code 999", frame(8, [0x03, 0xE7]), 1002), ("7.4.2 code 2999", frame(8, [0x0B, 0xB7]), 1002),
            ("7.4.2 code 5000", frame(8, [0x13, 0x88]), 1002),
            ("5.5.1 a reason that is not UTF-8", frame(8, [0x03, 0xE8, 0xFF]), 1007),
            ("8.1 overlong", frame(1, [0xC0, 0x80]), 1007), ("8.1 surrogate", frame(1, [0xED, 0xA0, 0x80]), 1007),
            ("8.1 above U+10FFFF", frame(1, [0xF4, 0x90, 0x80, 0x80]), 1007),
            ("8.1 cut at the end", frame(1, [0xE2, 0x82]), 1007),
            ("8.1 broken in the next fragment", frame(1, [0xE2], final: false) + frame(0, [0x28]), 1007),
        ] as [(String, [UInt8], UInt16)])
    func refuses(_ sample: (String, [UInt8], UInt16)) {
        let reading = Reading([sample.1])
        #expect(reading.violation?.code == sample.2, "\(sample.0)")
        #expect(reading.events.isEmpty)
    }

    @Test func messageSizeIsCountedOverFragments() {
        let half = [UInt8](repeating: 65, count: 50)
        #expect(Reading([frame(1, half, final: false) + frame(0, half)], limit: 100).violation == nil)
        #expect(
            Reading([frame(1, half, final: false) + frame(9, half) + frame(0, half + [65])], limit: 100).violation?.code
                == 1009)
        // Refused at its header: not a byte of the payload is waited for.
        #expect(Reading([[0x81, 0xFF, 0, 0, 0, 0, 0x7F, 0, 0, 0, 1, 2, 3, 4]]).violation?.code == 1009)
    }
}
