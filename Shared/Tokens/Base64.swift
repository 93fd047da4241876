// Base64 (RFC 4648): section 4 for handshakes, section 5 without padding for tokens; and hexadecimal digits.

private let standardAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
private let urlAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
private let urlValues: [UInt8] = {
    var values = [UInt8](repeating: 0xFF, count: 256)
    for (value, letter) in urlAlphabet.enumerated() { values[Int(letter)] = UInt8(value) }
    return values
}()

/// Base64 with padding.
public func base64(_ bytes: [UInt8]) -> String {
    var encoded = encode(bytes, standardAlphabet)
    while encoded.count % 4 != 0 { encoded.append(UInt8(ascii: "=")) }
    return String(decoding: encoded, as: UTF8.self)
}

/// Base64url without padding, as in RFC 7515.
public func base64url(_ bytes: [UInt8]) -> String {
    String(decoding: encode(bytes, urlAlphabet), as: UTF8.self)
}

/// Appends 64 bits, the highest first, as the eleven letters that `base64url` would write.
func appendBase64url(_ number: UInt64, to bytes: inout [UInt8]) {
    for shift in stride(from: UInt64(58), through: 4, by: -6) { bytes.append(urlAlphabet[Int(number >> shift & 0x3F)]) }
    bytes.append(urlAlphabet[Int(number << 2 & 0x3F)])
}

/// The bytes, or `nil` for anything that `base64url` would not have written: padding, blanks, loose last bits.
public func base64urlDecoded(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.underestimatedCount * 3 / 4)
    var bits: UInt32 = 0
    var count = 0
    for letter in text {
        let value = urlValues[Int(letter)]
        guard value != 0xFF else { return nil }
        bits = bits << 6 | UInt32(value)
        count += 6
        if count >= 8 {
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            bits &= (1 << UInt32(count)) - 1
        }
    }
    // Six bits left over are a single letter, which encodes nothing. Other bits left over must be zero, or two texts would mean
    // one token.
    return count == 6 || bits != 0 ? nil : bytes
}

/// Two lower-case digits a byte.
public func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 0x0F)])
    }
    return String(decoding: text, as: UTF8.self)
}

private func encode(_ bytes: [UInt8], _ alphabet: [UInt8]) -> [UInt8] {
    var encoded: [UInt8] = []
    encoded.reserveCapacity((bytes.count + 2) / 3 * 4)
    var bits: UInt32 = 0
    var count = 0
    for byte in bytes {
        bits = bits << 8 | UInt32(byte)
        count += 8
        while count >= 6 {
            count -= 6
            encoded.append(alphabet[Int(bits >> UInt32(count) & 0x3F)])
        }
        bits &= (1 << UInt32(count)) - 1
    }
    if count > 0 { encoded.append(alphabet[Int(bits << UInt32(6 - count) & 0x3F)]) }
    return encoded
}
