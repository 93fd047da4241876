internal import COpenSSL

// Digests and random bytes, from libcrypto. All of these may be called on any thread.

/// SHA-256 (FIPS 180-4): 32 bytes.
public func sha256(_ bytes: [UInt8]) -> [UInt8] {
    digest(bytes, algorithms.sha256, length: 32)
}

/// SHA-1: 20 bytes. Only for the WebSocket handshake (RFC 6455 section 4.2.2), never to protect anything.
public func sha1(_ bytes: [UInt8]) -> [UInt8] {
    digest(bytes, algorithms.sha1, length: 20)
}

/// Random bytes that nobody can guess.
public func randomBytes(_ count: Int) -> [UInt8] {
    guard count > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        let result = RAND_bytes(buffer.baseAddress, Int32(count))
        // Without randomness no credential can be made, and there is nothing to fall back to.
        precondition(result == 1, "libcrypto has no random bytes")
        filled = count
    }
}

/// Whether both are equal, in a time that does not depend on where they differ. A difference in length shows.
public func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for (a, b) in zip(left, right) { difference |= a ^ b }
    return difference == 0
}

/// A UUID of version 8 (RFC 9562 section 5.8), lower case, from the first 16 bytes of a digest.
public func uuid(fromDigest digest: [UInt8]) -> String {
    precondition(digest.count >= 16, "a UUID takes 16 bytes")
    var bytes = Array(digest.prefix(16))
    bytes[6] = bytes[6] & 0x0F | 0x80
    bytes[8] = bytes[8] & 0x3F | 0x80
    let text = hexadecimal(bytes)
    var parts: [Substring] = []
    var rest = Substring(text)
    for length in [8, 4, 4, 4, 12] {
        parts.append(rest.prefix(length))
        rest = rest.dropFirst(length)
    }
    return parts.joined(separator: "-")
}

/// The algorithms, fetched once: looking one up costs as much as a short digest.
struct DigestAlgorithms: @unchecked Sendable {  // libcrypto's EVP_MD is immutable and counts its references atomically
    let sha256: OpaquePointer
    let sha1: OpaquePointer

    init() {
        guard let sha256 = EVP_MD_fetch(nil, "SHA256", nil), let sha1 = EVP_MD_fetch(nil, "SHA1", nil) else {
            preconditionFailure("libcrypto has no SHA-256 or SHA-1")
        }
        self.sha256 = sha256
        self.sha1 = sha1
    }
}
let algorithms = DigestAlgorithms()

private func digest(_ bytes: [UInt8], _ algorithm: OpaquePointer, length: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: length) { buffer, filled in
        let result = EVP_Digest(bytes, bytes.count, buffer.baseAddress, nil, algorithm, nil)
        precondition(result == 1, "libcrypto could not digest")
        filled = length
    }
}
