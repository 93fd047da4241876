/// The frames of one client, from its bytes (RFC 6455 section 5). Pure; any split of the input gives the same events and
/// the same violation. While no frame or message is unfinished it is one empty reference.
public struct WebSocketParser {
    /// A message that is being read. It is kept apart, because most connections have none at most times.
    fileprivate final class Unfinished {
        var header: [UInt8] = []
        var isInPayload = false
        var isFinal = false
        var opcode: UInt8 = 0
        var remaining = 0
        var mask: UInt32 = 0
        /// The payload of a control frame.
        var control: [UInt8] = []
        /// The fragments of a message so far; `kind` is its opcode, 0 while there is none.
        var message: [UInt8] = []
        var kind: UInt8 = 0
        /// The first frame says that the message is compressed. Its text can be checked only when it is inflated.
        var isCompressed = false
        var text = UTF8Check()
    }

    private var unfinished: Unfinished?
    private var state: State

    private struct State: OptionSet {
        let rawValue: UInt8
        static let isClosed = State(rawValue: 1)
        static let allowsCompression = State(rawValue: 2)
    }

    public init(allowsCompression: Bool = false) { state = allowsCompression ? .allowsCompression : [] }

    /// Whether messages may be compressed, because that was negotiated.
    public var allowsCompression: Bool { state.contains(.allowsCompression) }

    /// Whether no part of a frame or message is held.
    public var isIdle: Bool { unfinished == nil }

    /// Reads from `offset` on, moves it past what was taken, and returns an event as soon as it is whole; nil when more
    /// bytes are needed. `limit` is the size of a message in bytes, over all its fragments. After a close frame, and
    /// after a violation, nothing is read any more.
    public mutating func next(
        _ bytes: Span<UInt8>, at offset: inout Int, limit: Int
    ) throws(WebSocketViolation) -> WebSocketEvent? {
        if state.contains(.isClosed) { offset = bytes.count }
        do {
            while offset < bytes.count {
                let frame = unfinished ?? Unfinished()
                unfinished = frame
                if !frame.isInPayload {
                    frame.header.append(bytes[offset])
                    offset += 1
                    try frame.readHeader(limit: limit, allowsCompression: allowsCompression)
                }
                guard frame.isInPayload else { continue }
                try frame.readPayload(bytes, at: &offset)
                guard frame.remaining == 0 else { continue }
                let event = try frame.finish()
                if frame.kind == 0 { unfinished = nil }
                if case .close? = event { state.insert(.isClosed) }
                if let event { return event }
            }
            return nil
        } catch {
            state.insert(.isClosed)
            unfinished = nil
            throw error
        }
    }
}

extension WebSocketParser.Unfinished {
    fileprivate var isControl: Bool { opcode & 8 != 0 }

    /// Looks at each byte of a header as it comes, so that a breach shows as early as it can.
    fileprivate func readHeader(limit: Int, allowsCompression: Bool) throws(WebSocketViolation) {
        switch header.count {
        case 1: try readFirst(header[0], allowsCompression)
        case 2: try readSecond(header[1])
        default: break
        }
        guard header.count >= 2, header.count == headerLength else { return }
        let length = try payloadLength()
        if !isControl, length > UInt64(max(0, limit - message.count)) { throw .tooBig }
        for index in 0..<4 { mask |= UInt32(header[header.count - 4 + index]) << UInt32(8 * index) }
        remaining = Int(length)
        isInPayload = true
    }

    private var headerLength: Int {
        switch header[1] & 0x7F {
        case 126: 8
        case 127: 14
        default: 6
        }
    }

    private func readFirst(_ byte: UInt8, _ allowsCompression: Bool) throws(WebSocketViolation) {
        isFinal = byte & 0x80 != 0
        opcode = byte & 0x0F
        // RSV1 stands on a message's first frame and nowhere else (RFC 7692 section 6.1).
        let saysCompressed = byte & 0x40 != 0
        guard byte & 0x30 == 0, !saysCompressed || allowsCompression && (opcode == 1 || opcode == 2) else {
            throw .breach("reserved bits are set")
        }
        switch opcode {
        case 0: guard kind != 0 else { throw .breach("continuation of nothing") }
        case 1, 2:
            guard kind == 0 else { throw .breach("a message inside a message") }
            isCompressed = saysCompressed
        case 8, 9, 10: guard isFinal else { throw .breach("a fragmented control frame") }
        default: throw .breach("unknown opcode")
        }
    }

    private func readSecond(_ byte: UInt8) throws(WebSocketViolation) {
        guard byte & 0x80 != 0 else { throw .breach("a frame without a mask") }
        if isControl, byte & 0x7F > 125 { throw .breach("a control frame over 125 bytes") }
    }

    private func payloadLength() throws(WebSocketViolation) -> UInt64 {
        let short = header[1] & 0x7F
        guard short > 125 else { return UInt64(short) }
        let length = header[2..<(header.count - 4)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        if length >> 63 != 0 { throw .breach("a length over 63 bits") }
        guard length > (short == 126 ? 125 : 65_535) else { throw .breach("a length not in its shortest form") }
        return length
    }

    fileprivate func readPayload(_ bytes: Span<UInt8>, at offset: inout Int) throws(WebSocketViolation) {
        let count = min(remaining, bytes.count - offset)
        let isText = !isCompressed && (opcode == 0 ? kind : opcode) == 1
        for index in offset..<(offset + count) {
            let byte = bytes[index] ^ UInt8(truncatingIfNeeded: mask)
            mask = mask >> 8 | mask << 24
            if isControl {
                control.append(byte)
            } else {
                message.append(byte)
                if isText, !text.accepts(byte) { throw .invalidText }
            }
        }
        offset += count
        remaining -= count
    }

    /// Returns the event that this frame completes, if any, and prepares for the next frame.
    fileprivate func finish() throws(WebSocketViolation) -> WebSocketEvent? {
        isInPayload = false
        mask = 0
        header.removeAll(keepingCapacity: true)
        if isControl {
            let payload = control
            control = []
            switch opcode {
            case 8: return try close(payload)
            case 9: return .ping(payload)
            default: return .pong(payload)
            }
        }
        if opcode != 0 { kind = opcode }
        guard isFinal else { return nil }
        if kind == 1, !text.isBetweenCharacters { throw .invalidText }
        let isText = kind == 1
        let event: WebSocketEvent =
            isCompressed ? .compressed(message, isText: isText) : isText ? .text(message) : .binary(message)
        message = []
        kind = 0
        isCompressed = false
        return event
    }

    private func close(_ payload: [UInt8]) throws(WebSocketViolation) -> WebSocketEvent {
        if payload.isEmpty { return .close(code: nil) }
        guard payload.count >= 2 else { throw .breach("a close code of one byte") }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: throw .breach("a close code that may not be sent")
        }
        var reason = UTF8Check()
        for byte in payload.dropFirst(2) where !reason.accepts(byte) { throw .invalidText }
        guard reason.isBetweenCharacters else { throw .invalidText }
        return .close(code: code)
    }
}
