import COpenSSL
import Foundation
import TestSupport
import Testing

@testable import Tokens

@Suite(.blocking) struct DigestTests {
    @Test func digestsOfTheStandards() {
        #expect(hexadecimal(sha256(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(hexadecimal(sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(hexadecimal(sha1(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    }

    /// RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
    @Test func codesOfTheStandard() {
        #expect(
            hexadecimal(HMACKey([UInt8](repeating: 0x0B, count: 20)).code(Array("Hi There".utf8)))
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        #expect(
            hexadecimal(HMACKey(Array("Jefe".utf8)).code(Array("what do ya want for nothing?".utf8)))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            hexadecimal(
                HMACKey([UInt8](repeating: 0xAA, count: 131)).code(
                    Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)))
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    /// RFC 6455 section 1.3.
    @Test func handshakeExample() {
        let text = "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        #expect(base64(sha1(Array(text.utf8))) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func base64urlThereAndBack() {
        for count in 0..<70 {
            let bytes = randomBytes(count)
            #expect(base64urlDecoded(base64url(bytes).utf8) == bytes)
        }
        for text in ["=", "a", "ab=", "a b", "+/", "ab\n", "YWJj=", "YWI_é", "YWJ"] {
            #expect(base64urlDecoded(text.utf8) == nil)
        }
    }

    @Test func uuidHasVersionEight() {
        #expect(uuid(fromDigest: sha256(Array("abc".utf8))) == "ba7816bf-8f01-8fea-8141-40de5dae2223")
    }

    @Test func comparison() {
        #expect(constantTimeEqual([1, 2], [1, 2]) && !constantTimeEqual([1, 2], [1, 3]) && !constantTimeEqual([1], [1, 2]))
    }

    @Test func providerTokenIsSignedAsJWSWantsIt() throws {
        let pem = try makeKey("-pkeyopt", "ec_paramgen_curve:P-256", algorithm: "EC")
        let signer = try ES256Signer(pem: pem)
        for round in 0..<20 {
            let token = try signer.providerToken(keyID: "KEY\"1", teamID: "TEAM", issuedAt: Int64(round))
            let parts = token.split(separator: ".").map { base64urlDecoded($0.utf8) ?? [] }
            #expect(String(decoding: parts[0], as: UTF8.self) == #"{"alg":"ES256","kid":"KEY\"1"}"#)
            #expect(String(decoding: parts[1], as: UTF8.self) == #"{"iss":"TEAM","iat":\#(round)}"#)
            #expect(parts[2].count == 64)
            let message = Array(token.utf8.prefix(upTo: token.utf8.lastIndex(of: UInt8(ascii: "."))!))
            #expect(isSignature(parts[2], of: message, pem: pem))
            #expect(!isSignature(parts[2], of: message + [0], pem: pem))
        }
    }

    @Test func keysThatCannotSign() throws {
        let rsa = try makeKey("-pkeyopt", "rsa_keygen_bits:2048", algorithm: "RSA")
        let otherCurve = try makeKey("-pkeyopt", "ec_paramgen_curve:P-384", algorithm: "EC")
        #expect(failure(rsa) == .notP256)
        #expect(failure(otherCurve) == .notP256)
        #expect(failure([]) == .notPEM)
        #expect(failure(Array("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".utf8)) == .notPEM)
    }

    private func failure(_ pem: [UInt8]) -> KeyError? {
        do {
            _ = try ES256Signer(pem: pem)
            return nil
        } catch {
            return error
        }
    }
}

func makeKey(_ options: String..., algorithm: String) throws -> [UInt8] {
    try Child.output(of: "/usr/bin/openssl", ["genpkey", "-quiet", "-algorithm", algorithm] + options)
}

private func isSignature(_ raw: [UInt8], of message: [UInt8], pem: [UInt8]) -> Bool {
    let source = BIO_new_mem_buf(pem, Int32(pem.count))
    let key = PEM_read_bio_PrivateKey(source, nil, nil, nil)
    let pair = ECDSA_SIG_new()
    ECDSA_SIG_set0(pair, BN_bin2bn(raw, 32, nil), BN_bin2bn(Array(raw.suffix(32)), 32, nil))
    var encoded: UnsafeMutablePointer<UInt8>?
    let length = i2d_ECDSA_SIG(pair, &encoded)
    let context = EVP_MD_CTX_new()
    defer {
        EVP_MD_CTX_free(context)
        CRYPTO_free(encoded, "", 0)
        ECDSA_SIG_free(pair)
        EVP_PKEY_free(key)
        BIO_free(source)
    }
    guard EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1 else { return false }
    return EVP_DigestVerify(context, encoded, Int(length), message, message.count) == 1
}
