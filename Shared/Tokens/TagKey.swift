/// A key for tags. We append a tag to a text that we give out, so that we recognise the text when it is brought back.
///
/// A tag is SipHash-2-4 (Aumasson and Bernstein, 2012), a pseudorandom function with 128 bits of key and 64 of result. The tag
/// of a cursor costs less than 0.1 µs, where HMAC-SHA-256 costs a microsecond and its prepared state 400 bytes. 64 bits are
/// enough for what can be guessed only by asking us, and only while the key lives. Nothing else should be protected by it.
public struct TagKey: Hashable, Sendable {
    private let low: UInt64
    private let high: UInt64

    /// Bytes of a key.
    public static let length = 16
    /// Bytes that `appendTag` appends: a dot, and 64 bits in base64url.
    public static let tagLength = 12

    /// A key that nobody can guess.
    public init() { self.init(words: randomBytes(Self.length)) }

    /// Nil unless the text is one that `text` has returned.
    public init?(text: String) {
        guard let bytes = base64urlDecoded(text.utf8), bytes.count == Self.length else { return nil }
        self.init(words: bytes)
    }

    /// - Parameter words: `length` bytes.
    init(words: [UInt8]) {
        low = littleEndian(words.span, 0, 8)
        high = littleEndian(words.span, 8, 8)
    }

    /// The key in base64url.
    public var text: String {
        base64url((0..<Self.length).map { UInt8(truncatingIfNeeded: ($0 < 8 ? low : high) >> UInt64($0 % 8 * 8)) })
    }

    /// Appends a dot and the tag of all that stands in `text` from `start` on.
    public func appendTag(to text: inout [UInt8], from start: Int) {
        let tag = hash(text.span.extracting(start..<text.count))
        text.append(UInt8(ascii: "."))
        appendBase64url(tag, to: &text)
    }

    /// Whether the text ends in a dot and the tag of what stands before it.
    public func confirms(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count > Self.tagLength else { return false }
        var expected = Array(bytes.dropLast(Self.tagLength))
        appendTag(to: &expected, from: 0)
        return constantTimeEqual(expected, bytes)
    }

    /// SipHash-2-4.
    func hash(_ bytes: Span<UInt8>) -> UInt64 {
        var state = SipState(low, high)
        var at = 0
        while bytes.count - at >= 8 {
            state.take(littleEndian(bytes, at, 8))
            at += 8
        }
        state.take(littleEndian(bytes, at, bytes.count - at) | UInt64(truncatingIfNeeded: bytes.count) << 56)
        return state.end()
    }
}

/// Up to eight bytes as a number, the first one lowest.
private func littleEndian(_ bytes: Span<UInt8>, _ start: Int, _ count: Int) -> UInt64 {
    var word: UInt64 = 0
    for index in 0..<count { word |= UInt64(bytes[start + index]) << UInt64(8 * index) }
    return word
}

/// The four words of SipHash.
private struct SipState {
    private var (a, b, c, d): (UInt64, UInt64, UInt64, UInt64)

    init(_ low: UInt64, _ high: UInt64) {
        // "somepseudorandomlygeneratedbytes"
        a = low ^ 0x736F_6D65_7073_6575
        b = high ^ 0x646F_7261_6E64_6F6D
        c = low ^ 0x6C79_6765_6E65_7261
        d = high ^ 0x7465_6462_7974_6573
    }

    mutating func take(_ word: UInt64) {
        d ^= word
        round()
        round()
        a ^= word
    }

    mutating func end() -> UInt64 {
        c ^= 0xFF
        for _ in 0..<4 { round() }
        return a ^ b ^ c ^ d
    }

    private mutating func round() {
        a &+= b
        c &+= d
        b = rotated(b, 13) ^ a
        d = rotated(d, 16) ^ c
        a = rotated(a, 32)
        c &+= b
        a &+= d
        b = rotated(b, 17) ^ c
        d = rotated(d, 21) ^ a
        c = rotated(c, 32)
    }

    private func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 { word << bits | word >> (64 - bits) }
}
