internal import COpenSSL

/// A key for HMAC-SHA-256 (RFC 2104). Both pads are digested once, so that a code costs two copies and two digests. May be used
/// on any thread at the same time: after `init` the contexts are only copied from.
public struct HMACKey: ~Copyable, @unchecked Sendable {
    private let inner: OpaquePointer
    private let outer: OpaquePointer

    public init(_ secret: [UInt8]) {
        var block = secret.count > 64 ? sha256(secret) : secret
        block += [UInt8](repeating: 0, count: 64 - block.count)
        inner = Self.context(after: block.map { $0 ^ 0x36 })
        outer = Self.context(after: block.map { $0 ^ 0x5C })
    }

    deinit {
        EVP_MD_CTX_free(inner)
        EVP_MD_CTX_free(outer)
    }

    /// The code of a message: 32 bytes.
    public borrowing func code(_ message: some Collection<UInt8>) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var sum = [UInt8](repeating: 0, count: 32)
        var done = EVP_MD_CTX_copy_ex(context, inner) == 1
        let contiguous = message.withContiguousStorageIfAvailable { bytes in
            EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
        }
        if let contiguous {
            done = done && contiguous
        } else {
            let bytes = Array(message)
            done = done && EVP_DigestUpdate(context, bytes, bytes.count) == 1
        }
        done = done && EVP_DigestFinal_ex(context, &sum, nil) == 1
        done = done && EVP_MD_CTX_copy_ex(context, outer) == 1
        done = done && EVP_DigestUpdate(context, sum, sum.count) == 1
        done = done && EVP_DigestFinal_ex(context, &sum, nil) == 1
        precondition(done, "libcrypto could not digest")
        return sum
    }

    private static func context(after pad: [UInt8]) -> OpaquePointer {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, algorithms.sha256, nil) == 1,
            EVP_DigestUpdate(context, pad, pad.count) == 1
        else { preconditionFailure("libcrypto could not digest") }
        return context
    }
}
