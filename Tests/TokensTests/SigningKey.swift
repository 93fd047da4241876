import COpenSSL
import Foundation
import TestSupport

@testable import Tokens

/// A private key that a test made with the openssl command, with its public half as a JWK.
struct SigningKey {
    let pem: [UInt8]
    let isRSA: Bool

    static func rsa(bits: Int = 2048) throws -> SigningKey {
        SigningKey(pem: try makeKey("-pkeyopt", "rsa_keygen_bits:\(bits)", algorithm: "RSA"), isRSA: true)
    }

    static func p256() throws -> SigningKey {
        SigningKey(pem: try makeKey("-pkeyopt", "ec_paramgen_curve:P-256", algorithm: "EC"), isRSA: false)
    }

    /// The public numbers: n and e, or x and y.
    private func numbers() -> (String, String) {
        withKey { key in
            if isRSA { return (Self.number(key, "n", width: nil), Self.number(key, "e", width: nil)) }
            return (Self.number(key, "qx", width: 32), Self.number(key, "qy", width: 32))
        }
    }

    private static func number(_ key: OpaquePointer?, _ name: String, width: Int32?) -> String {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, name, &number) == 1 else { return "" }
        defer { BN_free(number) }
        var bytes = [UInt8](repeating: 0, count: Int(width ?? (BN_num_bits(number) + 7) / 8))
        BN_bn2binpad(number, &bytes, Int32(bytes.count))
        return base64url(bytes)
    }

    /// `extra` is JSON members behind the others, each after a comma.
    func jwk(_ kid: String, extra: String = "") -> String {
        let (first, second) = numbers()
        return isRSA
            ? #"{"kty":"RSA","kid":"\#(kid)","n":"\#(first)","e":"\#(second)"\#(extra)}"#
            : #"{"kty":"EC","crv":"P-256","kid":"\#(kid)","x":"\#(first)","y":"\#(second)"\#(extra)}"#
    }

    func token(header: String, claims: String) throws -> String {
        let input = signingInput(header: header, claims: claims)
        return "\(input).\(base64url(try signature(of: Array(input.utf8))))"
    }

    /// As JWS has it.
    func signature(of message: [UInt8]) throws -> [UInt8] {
        if !isRSA { return try ES256Signer(pem: pem).signature(of: message) }
        return withKey { key in
            let context = EVP_MD_CTX_new()
            defer { EVP_MD_CTX_free(context) }
            var bytes = [UInt8](repeating: 0, count: 1024)
            var length = bytes.count
            EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key)
            EVP_DigestSign(context, &bytes, &length, message, message.count)
            return Array(bytes.prefix(length))
        }
    }

    private func withKey<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let source = BIO_new_mem_buf(pem, Int32(pem.count))
        let key = PEM_read_bio_PrivateKey(source, nil, nil, nil)
        defer {
            EVP_PKEY_free(key)
            BIO_free(source)
        }
        return body(key)
    }
}
