internal import COpenSSL

/// The one owner of a public key that checks signatures: RSA with PKCS #1 v1.5 (RS256, RFC 7518 section 3.3), or the
/// curve P-256 (ES256, section 3.4). A check takes about 25 µs with RSA of 2,048 bits and 60 with P-256.
/// May be used on any thread at the same time: libcrypto only reads the key.
struct PublicKey: ~Copyable, @unchecked Sendable {
    /// The bits that an RSA modulus may have: RFC 7518 section 3.3 asks for 2,048, and much longer ones cost too much.
    static let modulusBits = 2048...8192

    private let key: OpaquePointer
    private let isRSA: Bool

    /// Big-endian numbers without a sign, as RFC 7518 section 6.3.1 has them.
    init(modulus: [UInt8], exponent: [UInt8]) throws(KeySetError.Reason) {
        let digits = modulus.drop { $0 == 0 }
        guard let first = digits.first else { throw .badNumber }
        let bits = digits.count * 8 - first.leadingZeroBitCount
        guard Self.modulusBits.contains(bits) else { throw .modulusLength }
        // An exponent of 1 would verify anything, and an even one is not valid.
        let power = exponent.drop { $0 == 0 }
        guard let last = power.last, power.count <= 8, last & 1 == 1, power.count > 1 || last >= 3 else { throw .badExponent }
        let (n, e) = (Array(digits), Array(power))
        guard let key = carillon_rsa_public_key(n, Int32(n.count), e, Int32(e.count)) else {
            ERR_clear_error()
            throw .badNumber
        }
        self.key = key
        isRSA = true
    }

    /// The point's coordinates, 32 bytes each (RFC 7518 section 6.2.1). A point that is not on the curve is refused.
    init(x: [UInt8], y: [UInt8]) throws(KeySetError.Reason) {
        guard x.count == 32, y.count == 32 else { throw .badPoint }
        let point = [4] + x + y
        guard let key = carillon_p256_public_key(point, point.count) else {
            ERR_clear_error()
            throw .badPoint
        }
        self.key = key
        isRSA = false
    }

    deinit {
        EVP_PKEY_free(key)
    }

    /// Whether `signature`, in the form of JWS, is of this key over `message`. Anything that is not a signature gives false.
    borrowing func verifies(_ signature: [UInt8], of message: ArraySlice<UInt8>) -> Bool {
        guard isRSA else {
            guard let encoded = Self.encoded(signature) else { return false }
            return check(encoded, message)
        }
        // RFC 8017 section 8.2.2: exactly as long as the modulus.
        guard signature.count == Int(EVP_PKEY_get_size(key)) else { return false }
        return check(signature, message)
    }

    private borrowing func check(_ signature: [UInt8], _ message: ArraySlice<UInt8>) -> Bool {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        let result = message.withUnsafeBufferPointer { bytes in
            EVP_DigestVerifyInit(context, nil, algorithms.sha256, nil, key) == 1
                && EVP_DigestVerify(context, signature, signature.count, bytes.baseAddress, bytes.count) == 1
        }
        // A signature that does not match leaves an error in the queue of the thread. Nobody else should find it.
        if !result { ERR_clear_error() }
        return result
    }

    /// JWS writes r and s, 32 bytes each (RFC 7518 section 3.4); libcrypto takes DER.
    private static func encoded(_ signature: [UInt8]) -> [UInt8]? {
        guard signature.count == 64, let pair = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(pair) }
        let r = BN_bin2bn(Array(signature[..<32]), 32, nil)
        let s = BN_bin2bn(Array(signature[32...]), 32, nil)
        guard ECDSA_SIG_set0(pair, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: 80)
        let length = bytes.withUnsafeMutableBufferPointer { buffer in
            var start = buffer.baseAddress
            return i2d_ECDSA_SIG(pair, &start)
        }
        return length > 0 ? Array(bytes.prefix(Int(length))) : nil
    }
}
