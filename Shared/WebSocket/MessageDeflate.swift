internal import CZlib

/// Compresses and inflates messages (RFC 7692, permessage-deflate), each by itself: nothing is kept from one to the next in
/// either direction, so one of these serves all connections of a loop. Loop thread only.
public final class MessageDeflate {
    /// The window in which the compressor looks back, as a power of two: what clients with little memory offer.
    static let windowBits: Int32 = 12

    // zlib's states point back to these, so they must not move.
    private let deflater = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let inflater = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let scratch = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 16_384)

    /// Takes about 70 KB. Nil if zlib has no memory for it.
    public init?() {
        deflater.initialize(to: z_stream())
        inflater.initialize(to: z_stream())
        let size = Int32(MemoryLayout<z_stream>.size)
        // A negative window means raw DEFLATE, without zlib's own header. The inflater takes any window.
        let deflates = deflateInit2_(
            deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -Self.windowBits, 5, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
        let inflates = inflateInit2_(inflater, -15, ZLIB_VERSION, size)
        guard deflates == Z_OK, inflates == Z_OK else { return nil }
    }

    deinit {
        // This does no harm to a state that could not be made.
        deflateEnd(deflater)
        inflateEnd(inflater)
        deflater.deallocate()
        inflater.deallocate()
        scratch.deallocate()
    }

    // MARK: Out

    /// The compressed form of the message, without the four bytes at the end that every one has (section 7.2.1); nil if it is
    /// not shorter.
    public func compress(_ payload: [UInt8]) -> [UInt8]? {
        guard let count = UInt32(exactly: payload.count), deflateReset(deflater) == Z_OK else { return nil }
        // Room for as much as came; with more it would not be worth it.
        let compressed = [UInt8](unsafeUninitializedCapacity: payload.count) { buffer, written in
            payload.withUnsafeBufferPointer { input in
                // zlib takes a mutable pointer and does not write through it.
                deflater.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                deflater.pointee.avail_in = count
                deflater.pointee.next_out = buffer.baseAddress
                deflater.pointee.avail_out = count
                let status = deflate(deflater, Z_SYNC_FLUSH)
                // A full buffer may lack the end.
                let isWhole = status == Z_OK && deflater.pointee.avail_out > 0
                written = isWhole ? Int(count - deflater.pointee.avail_out) : 0
                forget(deflater)
            }
        }
        return compressed.count > 4 ? Array(compressed.dropLast(4)) : nil
    }

    /// Appends the header of a block that holds bytes as they are (RFC 1951 section 3.2.4); the bytes may follow it. Such a
    /// block stands before a compressed part that many messages share. `length`: at most 65,535.
    public static func appendStoredBlockHeader(length: Int, to bytes: inout [UInt8]) {
        let length = UInt16(truncatingIfNeeded: length)
        bytes.append(0)
        for value in [length, ~length] {
            bytes.append(UInt8(truncatingIfNeeded: value))
            bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        }
    }

    /// Bytes of `appendStoredBlockHeader`.
    public static let storedBlockHeaderLength = 5

    /// The same message in a compressed frame; the frame itself if that is not shorter. `frame`: whole, of the server's.
    public func frame(of frame: [UInt8]) -> [UInt8] {
        guard frame.count > 2 else { return frame }
        let headerLength = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10
        guard let opcode = WebSocketFrame.Opcode(rawValue: frame[0] & 0x0F), opcode == .text || opcode == .binary,
            let payload = compress(Array(frame.dropFirst(headerLength)))
        else { return frame }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count + 10)
        WebSocketFrame.appendHeader(opcode, length: payload.count, isCompressed: true, to: &bytes)
        bytes.append(contentsOf: payload)
        return bytes
    }

    // MARK: In

    /// Inflates a compressed message: text that is UTF-8, or binary.
    /// - Parameter limit: of the inflated message in bytes; beyond it nothing more is inflated (1009).
    public func open(_ payload: [UInt8], isText: Bool, limit: Int) throws(WebSocketViolation) -> WebSocketEvent {
        let message = try inflate(payload, limit: limit)
        guard isText else { return .binary(message) }
        var check = UTF8Check()
        for byte in message where !check.accepts(byte) { throw .invalidText }
        guard check.isBetweenCharacters else { throw .invalidText }
        return .text(message)
    }

    private func inflate(_ payload: [UInt8], limit: Int) throws(WebSocketViolation) -> [UInt8] {
        guard inflateReset(inflater) == Z_OK else { throw .invalidDeflate }
        var message: [UInt8] = []
        defer { forget(inflater) }
        // The four bytes that the sender left out (section 7.2.2).
        for part in [payload, [0x00, 0x00, 0xFF, 0xFF]] where !part.isEmpty {
            try feed(part, into: &message, limit: limit)
        }
        // The message ends inside a block: it was cut short.
        guard inflater.pointee.data_type & 128 != 0 else { throw .invalidDeflate }
        return message
    }

    private func feed(_ part: [UInt8], into message: inout [UInt8], limit: Int) throws(WebSocketViolation) {
        var offset = 0
        var isFull = false
        while offset < part.count || isFull {
            let (status, taken, given) = step(part, from: offset)
            offset += taken
            guard given <= limit - message.count else { throw .tooBig }
            message.append(contentsOf: scratch.prefix(given))
            isFull = given == scratch.count
            switch status {
            case Z_OK: break
            // A final block ends a stream and not yet the message (section 7.2.3.4).
            case Z_STREAM_END: guard inflateReset(inflater) == Z_OK else { throw .invalidDeflate }
            case Z_BUF_ERROR where taken == 0 && given == 0 && offset == part.count: return
            default: throw .invalidDeflate
            }
        }
    }

    private func step(_ part: [UInt8], from offset: Int) -> (status: Int32, taken: Int, given: Int) {
        part.withUnsafeBufferPointer { input in
            let left = UInt32(clamping: part.count - offset)
            inflater.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress).map { $0 + offset }
            inflater.pointee.avail_in = left
            inflater.pointee.next_out = scratch.baseAddress
            inflater.pointee.avail_out = UInt32(scratch.count)
            let status = CZlib.inflate(inflater, Z_SYNC_FLUSH)
            return (status, Int(left - inflater.pointee.avail_in), scratch.count - Int(inflater.pointee.avail_out))
        }
    }

    /// Clears the pointers into arrays that zlib does not own.
    private func forget(_ stream: UnsafeMutablePointer<z_stream>) {
        stream.pointee.next_in = nil
        stream.pointee.avail_in = 0
        stream.pointee.next_out = nil
        stream.pointee.avail_out = 0
    }
}
