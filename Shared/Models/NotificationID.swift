/// A notification's id: a UUID of version 8 (RFC 9562 section 5.8), the same for every recipient of one event.
public struct NotificationID: Hashable, Sendable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    /// Makes the id of the first 16 bytes of a SHA-256 over `digestInput`, which the caller has computed.
    public init(digest: [UInt8]) {
        precondition(digest.count >= 16, "a digest of fewer than 16 bytes")
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<8 {
            high = high << 8 | UInt64(digest[index])
            low = low << 8 | UInt64(digest[index + 8])
        }
        self.high = high & 0xFFFF_FFFF_FFFF_0FFF | 0x8000
        self.low = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    }

    /// What is hashed for the notification of one event.
    public static func digestInput(source: String, eventID: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.utf8.count + eventID.utf8.count + 1)
        bytes.append(contentsOf: source.utf8)
        bytes.append(0)
        bytes.append(contentsOf: eventID.utf8)
        return bytes
    }

    /// Reads the 36 characters of a UUID in either case, for Apple's UUIDs are upper case; nil for anything else.
    public init?(_ text: String) { self.init(text.utf8Span.span) }

    /// Reads the 36 characters of a UUID in either case, for Apple's UUIDs are upper case; nil for anything else.
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count == 36 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for index in 0..<36 {
            let byte = bytes[index]
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = hexadecimalDigit(byte) else { return nil }
            if digits < 16 { words.0 = words.0 << 4 | UInt64(digit) } else { words.1 = words.1 << 4 | UInt64(digit) }
            digits += 1
        }
        (high, low) = words
    }

    /// 36 characters, lower case.
    public func append(to bytes: inout [UInt8]) {
        for index in 0..<32 {
            if index == 8 || index == 12 || index == 16 || index == 20 { bytes.append(UInt8(ascii: "-")) }
            let word = index < 16 ? high : low
            bytes.append(lowerHexadecimal(UInt8(truncatingIfNeeded: word >> UInt64(60 &- index % 16 &* 4)) & 15))
        }
    }

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(36)
        append(to: &bytes)
        return bytes
    }

    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
