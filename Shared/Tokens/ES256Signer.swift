internal import COpenSSL
internal import Glibc

/// Why a private key cannot be used. The text holds nothing of the key.
public enum KeyError: String, Error, Sendable, CustomStringConvertible {
    case unreadable = "the file cannot be read"
    case notPEM = "the file holds no unencrypted private key in PEM (PKCS#8, as in Apple's .p8 files)"
    case notP256 = "the key is not an elliptic-curve key on P-256"
    case signing = "libcrypto could not sign"

    public var description: String { rawValue }
}

/// The one owner of a private key on P-256, which signs with ES256 (RFC 7518 section 3.4). A signature takes about
/// 18 µs. To be used by one thread at a time.
public struct ES256Signer: ~Copyable {
    private let key: OpaquePointer

    /// `pem` is the content of a .p8 file.
    public init(pem: [UInt8]) throws(KeyError) {
        guard pem.count <= 65536, let source = BIO_new_mem_buf(pem, Int32(pem.count)) else { throw .notPEM }
        defer { BIO_free(source) }
        // The callback says that there is no password; without it libcrypto would ask for one on the terminal.
        guard let key = PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil) else {
            ERR_clear_error()
            throw .notPEM
        }
        guard Self.isP256(key) else {
            EVP_PKEY_free(key)
            throw .notP256
        }
        self.key = key
    }

    /// Reads the key from a file, once; blocks for that long.
    public init(file path: String) throws(KeyError) {
        guard let pem = Self.contents(path) else { throw .unreadable }
        try self.init(pem: pem)
    }

    deinit {
        EVP_PKEY_free(key)
    }

    /// The signature of a message, as JWS has it: r, then s, 32 bytes each.
    public borrowing func signature(of message: [UInt8]) throws(KeyError) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var encoded = [UInt8](repeating: 0, count: 128)
        var length = encoded.count
        guard EVP_DigestSignInit(context, nil, algorithms.sha256, nil, key) == 1,
            EVP_DigestSign(context, &encoded, &length, message, message.count) == 1
        else {
            ERR_clear_error()
            throw .signing
        }
        return try Self.rawSignature(encoded.prefix(length))
    }

    /// A compact JWS (RFC 7515 section 7.1) over claims that are JSON already.
    public borrowing func token(keyID: String, claims: String) throws(KeyError) -> String {
        let input = signingInput(header: "{\"alg\":\"ES256\",\"kid\":\(quoted(keyID))}", claims: claims)
        return try "\(input).\(base64url(signature(of: Array(input.utf8))))"
    }

    /// Apple's provider token: who sends (`iss`, the team), signed with which key, and when.
    public borrowing func providerToken(keyID: String, teamID: String, issuedAt: Int64) throws(KeyError) -> String {
        try token(keyID: keyID, claims: "{\"iss\":\(quoted(teamID)),\"iat\":\(issuedAt)}")
    }

    /// At most 64 KB of a file: no key is longer.
    private static func contents(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + length, $0.count - length) }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            length += count
        }
        return Array(bytes.prefix(length))
    }

    private static func isP256(_ key: OpaquePointer) -> Bool {
        var name = [CChar](repeating: 0, count: 64)
        var length = 0
        guard EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1 else {
            ERR_clear_error()
            return false
        }
        return String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) == "prime256v1"
    }

    /// Converts a signature from DER, as libcrypto returns it.
    private static func rawSignature(_ encoded: ArraySlice<UInt8>) throws(KeyError) -> [UInt8] {
        let pair: OpaquePointer? = Array(encoded).withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return d2i_ECDSA_SIG(nil, &start, bytes.count)
        }
        guard let pair else { throw .signing }
        defer { ECDSA_SIG_free(pair) }
        var raw = [UInt8](repeating: 0, count: 64)
        let done = raw.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return false }
            return BN_bn2binpad(ECDSA_SIG_get0_r(pair), start, 32) == 32
                && BN_bn2binpad(ECDSA_SIG_get0_s(pair), start + 32, 32) == 32
        }
        guard done else { throw .signing }
        return raw
    }
}
