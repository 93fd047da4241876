internal import CHiredis

/// hiredis's RESP parser: bytes in, whole replies out, whatever the split. Confined to its connection's loop.
final class ReplyReader {
    // The one owner of the C reader, freed with it.
    private let reader: UnsafeMutablePointer<redisReader>

    /// The bytes are no RESP; nothing more can be read from this connection.
    struct Malformed: Error {}

    init() {
        guard let reader = redisReaderCreate() else { preconditionFailure("no memory for a reader") }
        self.reader = reader
    }

    deinit { redisReaderFree(reader) }

    func feed(_ bytes: Span<UInt8>) throws(Malformed) {
        let status = bytes.withUnsafeBytes { raw in
            redisReaderFeed(reader, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
        }
        if status != REDIS_OK { throw Malformed() }
    }

    /// The next whole reply, or `nil` until more bytes have come.
    func next() throws(Malformed) -> RedisValue? {
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &reply) == REDIS_OK else { throw Malformed() }
        guard let reply else { return nil }
        defer { freeReplyObject(reply) }
        return Self.value(reply.assumingMemoryBound(to: redisReply.self))
    }

    /// Copies hiredis's tree, whose depth the reader itself bounds to seven.
    private static func value(_ reply: UnsafePointer<redisReply>) -> RedisValue {
        let it = reply.pointee
        switch it.type {
        case REDIS_REPLY_INTEGER: return .integer(it.integer)
        case REDIS_REPLY_STRING: return .bytes([UInt8](text(it)))
        case REDIS_REPLY_STATUS: return .status(String(decoding: text(it), as: UTF8.self))
        case REDIS_REPLY_ERROR: return .error(String(decoding: text(it), as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            guard let elements = it.element else { return .array([]) }
            return .array(
                [RedisValue](unsafeUninitializedCapacity: it.elements) { buffer, count in
                    while count < it.elements {
                        let element = elements[count].map { value($0) } ?? .null
                        (buffer.baseAddress! + count).initialize(to: element)
                        count += 1
                    }
                })
        default: return .null
        }
    }

    private static func text(_ reply: redisReply) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : reply.len)
    }
}
