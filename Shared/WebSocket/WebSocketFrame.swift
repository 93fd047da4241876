/// Frames from the server: never masked, never fragmented (RFC 6455 section 5.1).
public enum WebSocketFrame {
    public enum Opcode: UInt8, Sendable {
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10
    }

    /// Bytes that `appendHeader` takes for a payload of this length.
    public static func headerLength(_ payloadLength: Int) -> Int {
        payloadLength < 126 ? 2 : payloadLength < 65_536 ? 4 : 10
    }

    /// Appends only the header, so that an envelope may follow it and a shared payload leave with it in one write.
    /// `isCompressed` sets RSV1 (RFC 7692 section 6).
    public static func appendHeader(
        _ opcode: Opcode, length: Int, isCompressed: Bool = false, to bytes: inout [UInt8]
    ) {
        bytes.append((isCompressed ? 0xC0 : 0x80) | opcode.rawValue)
        if length < 126 {
            bytes.append(UInt8(truncatingIfNeeded: length))
            return
        }
        let isShort = length < 65_536
        bytes.append(isShort ? 126 : 127)
        for shift in stride(from: isShort ? 8 : 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: length >> shift))
        }
    }

    public static func encode(_ opcode: Opcode, _ payload: some Collection<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count + 10)
        appendHeader(opcode, length: payload.count, to: &bytes)
        bytes.append(contentsOf: payload)
        return bytes
    }

    public static func text(_ payload: some Collection<UInt8>) -> [UInt8] { encode(.text, payload) }

    /// A close frame; the reason is cut at a character's border so that it fits a control frame. `code` nil is an empty
    /// one, the answer to an empty one.
    public static func close(_ code: UInt16?, reason: String = "") -> [UInt8] {
        guard let code else { return encode(.close, []) }
        var text = reason
        while text.utf8.count > 123 { text.removeLast() }
        return encode(.close, [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)] + Array(text.utf8))
    }
}
