import Foundation
import TestSupport
import Testing

@testable import Tokens

private let now: Int64 = 1_800_000_000
private let claims = #"{"sub":"a","exp":2000000000}"#
private let secret = "a-secret-of-thirty-two-bytes-or-more"

private func set(_ keys: String...) throws -> KeySet {
    try KeySet(jwks: Array(#"{"keys":[\#(keys.joined(separator: ","))]}"#.utf8))
}

private func reason(_ text: String) -> KeySetError? {
    do throws(KeySetError) {
        _ = try KeySet(jwks: Array(text.utf8))
        return nil
    } catch {
        return error
    }
}

private func fault(_ token: String, _ keys: KeySet?, secret: String? = secret) -> TokenFault? {
    switch TokenVerifier(secret: secret, keys: keys).verify(token, now: now) {
    case .success: nil
    case .failure(.invalid(let fault)): fault
    case .failure(.expired): nil
    }
}

private func octets(_ kid: String, _ secret: String, extra: String = "") -> String {
    #"{"kty":"oct","kid":"\#(kid)","k":"\#(base64url(Array(secret.utf8)))"\#(extra)}"#
}

@Suite(.blocking) struct KeySetTests {
    /// Both forms of é are names of their own, though `String` holds them equal.
    @Test func aKeyIDIsItsBytes() throws {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        let other = String(secret.reversed())
        func token(_ kid: String, _ secret: String) -> String {
            let input = signingInput(header: #"{"alg":"HS256","kid":"\#(kid)"}"#, claims: claims)
            return "\(input).\(base64url(HMACKey(Array(secret.utf8)).code(Array(input.utf8))))"
        }
        let keys = try set(octets(composed, secret), octets(decomposed, other))
        #expect(keys.count == 2 && keys.passedOver.isEmpty)
        #expect(fault(token(composed, secret), keys) == nil)
        #expect(fault(token(decomposed, other), keys) == nil)
        #expect(fault(token(decomposed, secret), keys) == .badSignature)
        #expect(fault(token(decomposed, secret), try set(octets(composed, secret))) == .unknownKey)
    }

    // MARK: Vectors of RFC 7515, appendix A

    private static let payload =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

    private func check(_ key: borrowing VerificationKey, _ header: String, _ signature: String) -> [Bool] {
        let message = Array("\(header).\(Self.payload)".utf8)
        let right = base64urlDecoded(signature.utf8) ?? []
        var forged = right
        forged[7] ^= 1
        return [
            key.verifies(right, of: message[...]), key.verifies(forged, of: message[...]),
            key.verifies(right, of: message.dropLast()), key.verifies(Array(right.dropLast()), of: message[...]),
            key.verifies([0] + right, of: message[...]), key.verifies([], of: message[...]),
        ]
    }

    private static let onlyTheFirst = [true, false, false, false, false, false]

    @Test func appendixA1() {
        let key = VerificationKey(
            secret: base64urlDecoded("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow".utf8)!)
        #expect(
            check(key, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
                == Self.onlyTheFirst)
    }

    @Test func appendixA2() throws {
        let modulus =
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS"
            + "-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2"
            + "CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9"
            + "gb54h4FRWyuXpoQ"
        let signature =
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUA"
            + "r7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO"
            + "--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN"
            + "_IoypGlUPQGe77Rw"
        let key = try VerificationKey(
            modulus: base64urlDecoded(modulus.utf8)!, exponent: base64urlDecoded("AQAB".utf8)!)
        #expect(check(key, "eyJhbGciOiJSUzI1NiJ9", signature) == Self.onlyTheFirst)
    }

    @Test func appendixA3() throws {
        let key = try VerificationKey(
            x: base64urlDecoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU".utf8)!,
            y: base64urlDecoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0".utf8)!)
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        #expect(check(key, "eyJhbGciOiJFUzI1NiJ9", signature) == Self.onlyTheFirst)
    }

    // MARK: Tokens

    @Test func takesTheKeyThatTheTokenNames() throws {
        let (rsa, curve) = (try SigningKey.rsa(), try SigningKey.p256())
        let keys = try set(
            rsa.jwk("r", extra: #","alg":"RS256","use":"sig""#), curve.jwk("e", extra: #","key_ops":["verify"]"#),
            octets("h", "another-secret-of-thirty-two-bytes", extra: #","alg":"HS256""#))
        #expect(keys.count == 3)
        for round in 0..<10 {
            let claims = #"{"sub":"a","exp":200000000\#(round)}"#
            #expect(fault(try rsa.token(header: #"{"alg":"RS256","kid":"r"}"#, claims: claims), keys) == nil)
            #expect(fault(try curve.token(header: #"{"alg":"ES256","kid":"e"}"#, claims: claims), keys) == nil)
        }
        let shared = mintHS256(TokenClaims(subject: "a", expires: 2_000_000_000), secret: secret)
        #expect(fault(shared, keys) == nil)
        #expect(fault(shared, keys, secret: nil) == .noKeyID)
        #expect(fault(try rsa.token(header: #"{"alg":"RS256","kid":"q"}"#, claims: claims), keys) == .unknownKey)
        #expect(fault(try rsa.token(header: #"{"alg":"RS256","kid":"e"}"#, claims: claims), keys) == .algorithmMismatch)
        #expect(fault(try rsa.token(header: #"{"alg":"RS256"}"#, claims: claims), keys) == .algorithmMismatch)
        #expect(fault(try curve.token(header: #"{"alg":"ES256","kid":["e"]}"#, claims: claims), keys) == .badKeyID)
        #expect(fault(try SigningKey.rsa().token(header: #"{"alg":"RS256","kid":"r"}"#, claims: claims), keys) == .badSignature)
        #expect(fault(try SigningKey.p256().token(header: #"{"alg":"ES256","kid":"e"}"#, claims: claims), keys) == .badSignature)
    }

    /// The public key, which everybody knows, used as the secret of an HMAC.
    @Test func publicKeyIsNoSecret() throws {
        let rsa = try SigningKey.rsa()
        let keys = try set(rsa.jwk("r"))
        for secret in [rsa.jwk("r"), String(decoding: rsa.pem, as: UTF8.self)] {
            for header in [#"{"alg":"HS256","kid":"r"}"#, #"{"alg":"none","kid":"r"}"#] {
                let input = signingInput(header: header, claims: claims)
                let token = "\(input).\(base64url(HMACKey(Array(secret.utf8)).code(Array(input.utf8))))"
                #expect([.algorithmMismatch, .unsigned].contains(fault(token, keys)))
            }
        }
    }

    /// `r` and `s` in DER, as everything but JOSE writes them, or zero.
    @Test func signaturesOfAnotherForm() throws {
        let curve = try SigningKey.p256()
        let keys = try set(curve.jwk("e"))
        let input = signingInput(header: #"{"alg":"ES256","kid":"e"}"#, claims: claims)
        for signature in [[UInt8](repeating: 0, count: 64), [UInt8](repeating: 0xFF, count: 64), [0x30, 0x44, 2, 0x20], []] {
            #expect(fault("\(input).\(base64url(signature))", keys) == .badSignature)
        }
    }

    @Test(arguments: ["../../etc/passwd", "/dev/zero", "e' OR 1=1 --", "\\u0000", "http://example.com/jwks.json"])
    func keyIDIsOnlyAName(_ kid: String) throws {
        let curve = try SigningKey.p256()
        let token = try curve.token(header: #"{"alg":"ES256","kid":"\#(kid)"}"#, claims: claims)
        #expect(fault(token, try set(curve.jwk("e"))) == .unknownKey)
        #expect(fault(token, try set(curve.jwk(kid))) == nil)
    }

    /// Keys that come with the token are not looked at (RFC 7515 sections 4.1.2, 4.1.3).
    @Test func keysInsideATokenAreIgnored() throws {
        let (mine, its) = (try SigningKey.p256(), try SigningKey.p256())
        let token = try its.token(
            header: #"{"alg":"ES256","kid":"e","jku":"http://127.0.0.1/","jwk":\#(its.jwk("e"))}"#, claims: claims)
        #expect(fault(token, try set(mine.jwk("e"))) == .badSignature)
    }

    // MARK: Sets

    @Test func passesOverWhatIsForSomethingElse() throws {
        let (rsa, curve) = (try SigningKey.rsa(), try SigningKey.p256())
        let keys = try set(
            curve.jwk("e"), rsa.jwk("enc", extra: #","use":"enc""#), rsa.jwk("ps", extra: #","alg":"PS256""#),
            rsa.jwk("ops", extra: #","key_ops":["encrypt"]"#), #"{"kty":"OKP","crv":"Ed25519","kid":"o","x":"AA"}"#,
            #"{"kty":"EC","crv":"P-384","kid":"p","x":"AA","y":"AA"}"#, #"{"kty":"quantum"}"#)
        #expect(keys.count == 1)
        #expect(reason(#"{"keys":[\#(rsa.jwk("enc", extra: #","use":"enc""#))]}"#)?.reason == .noneUsable)
        #expect(reason(#"{"keys":[]}"#)?.reason == .noneUsable)
    }

    /// A key that should serve and cannot is told of, and takes no other away.
    @Test func whatShouldServeAndCannotIsPassedOver() throws {
        let (rsa, curve) = (try SigningKey.rsa(), try SigningKey.p256())
        let good = curve.jwk("e")
        /// What is wrong with a key beside a good one.
        func trouble(_ key: String) throws -> KeySetError? {
            let keys = try set(good, key)
            #expect(keys.count == 1 && keys.entry("e") != nil && keys.passedOver.count <= 1)
            return keys.passedOver.first
        }
        let short = try SigningKey.rsa(bits: 1024)
        #expect(try trouble(short.jwk("s")) == KeySetError(.modulusLength, at: 1))
        #expect(try trouble(short.jwk("s"))?.description == "key 1: its RSA modulus is not of 2,048 to 8,192 bits")
        #expect(try trouble(good)?.reason == .repeated)
        #expect(try trouble(rsa.jwk("r", extra: #","alg":"HS256""#))?.reason == .contradiction)
        #expect(try trouble(rsa.jwk("r", extra: #","alg":"ES256""#))?.reason == .contradiction)
        #expect(try trouble(rsa.jwk("r", extra: #","alg":"none""#))?.reason == .contradiction)
        #expect(try trouble(octets("o", secret, extra: #","alg":"RS256""#))?.reason == .contradiction)
        #expect(try trouble(octets("o", "short"))?.reason == .secretLength)
        #expect(try trouble(#"{"kty":"oct","k":"AA"}"#)?.reason == .noKeyID)
        #expect(try trouble(#"{"kty":"EC","crv":"P-384","alg":"ES256","kid":"p","x":"AA","y":"AA"}"#)?.reason == .badPoint)
        let x = base64url([UInt8](repeating: 1, count: 32))
        #expect(try trouble(#"{"kty":"EC","crv":"P-256","kid":"p","x":"\#(x)","y":"\#(x)"}"#)?.reason == .badPoint)
        #expect(try trouble(#"{"kty":"EC","crv":"P-256","kid":"p","x":"AQ","y":"AQ"}"#)?.reason == .badPoint)
        let n = base64url([0xC0] + [UInt8](repeating: 1, count: 255))
        #expect(try trouble(#"{"kty":"RSA","kid":"p","n":"\#(n)","e":"AQ"}"#)?.reason == .badExponent)
        #expect(try trouble(#"{"kty":"RSA","kid":"p","n":"\#(n)","e":"Ag"}"#)?.reason == .badExponent)
        #expect(try trouble(#"{"kty":"RSA","kid":"p","n":"!","e":"AQAB"}"#)?.reason == .badNumber)
        #expect(try trouble(#"{"kty":"RSA","kid":"p","n":"AAAA","e":"AQAB"}"#)?.reason == .badNumber)
        #expect(try trouble("7")?.reason == .notObject)
        // Members that mean nothing here, and null for what is absent.
        #expect(try trouble(#"{"kty":"OKP","x5c":[1,{}],"n":"# + String(repeating: "9", count: 40) + "}") == nil)
        #expect(try set(curve.jwk("n", extra: #","use":null,"alg":null,"key_ops":null,"oth":[[[]]]"#)).count == 1)
        // Of two of one name the first serves.
        let other = try SigningKey.p256()
        #expect(fault(try curve.token(header: #"{"alg":"ES256","kid":"e"}"#, claims: claims), try set(good, other.jwk("e"))) == nil)
    }

    @Test func aSetIsRefusedWhereNoneIsLeft() throws {
        let error = try #require(reason(#"{"keys":[\#(try SigningKey.rsa(bits: 1024).jwk("s")),7]}"#))
        #expect(error.reason == .noneUsable)
        #expect(
            error.description
                == "no key can check HS256, RS256 or ES256: key 0: its RSA modulus is not of 2,048 to 8,192 bits")
    }

    /// Whatever it is for, and however bad a key it is.
    @Test func aPrivateKeyFailsTheSet() throws {
        let (rsa, curve) = (try SigningKey.rsa(), try SigningKey.p256())
        let good = octets("h", secret)
        for key in [
            rsa.jwk("r", extra: #","d":"AA""#), curve.jwk("e", extra: #","d":"AA""#), rsa.jwk("r", extra: #","d":"AA","use":"enc""#),
            curve.jwk("e", extra: #","d":"AA","alg":"ES512""#), #"{"kty":"OKP","crv":"Ed25519","kid":"o","x":"AA","d":"AA"}"#,
            try SigningKey.rsa(bits: 1024).jwk("s", extra: #","d":"AA""#),
        ] { #expect(reason(#"{"keys":[\#(good),\#(key)]}"#) == KeySetError(.privateKey, at: 1)) }
    }

    @Test func setsThatAreNone() throws {
        for text in ["", "[]", "{}", #"{"keys":{}}"#, #"{"keys":["#, #"{"keys":[]} x"#, "\u{FEFF}{}"] {
            #expect(reason(text)?.reason == .notJSON)
        }
        let key = try SigningKey.p256()
        let many = (0..<101).map { key.jwk("k\($0)") }.joined(separator: ",")
        #expect(reason(#"{"keys":[\#(many)]}"#)?.reason == .tooMany)
        let hundred = (0..<100).map { key.jwk("k\($0)") }.joined(separator: ",")
        #expect(reason(#"{"keys":[\#(hundred)]}"#) == nil)
        let blanks = String(repeating: " ", count: KeySet.maximumBytes)
        #expect(reason(#"{"keys":[\#(key.jwk("k"))]}"# + blanks)?.reason == .tooLarge)
    }

    @Test func noByteStringTraps() throws {
        let whole = Array(#"{"keys":[\#(try SigningKey.rsa().jwk("r")),\#(try SigningKey.p256().jwk("e"))]}"#.utf8)
        var random = SeededGenerator(seed: TestSeed.announced())
        for _ in 0..<1000 {
            var bytes = whole
            var state: UInt64 = 0
            for _ in 0..<3 {
                state = random.next()
                bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 20)
            }
            if state & 3 == 0 { bytes.removeLast(Int(state >> 50) % bytes.count) }
            _ = try? KeySet(jwks: bytes)
        }
    }

    // MARK: The file

    @Test func fileIsReadAgainWhenItChanges() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("jwks-\(UUID().uuidString).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        func write(_ text: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }
        func failure(_ result: Result<KeySet, KeySetError>?) -> KeySetError.Reason? {
            guard case .failure(let error)? = result else { return nil }
            return error.reason
        }
        var file = KeyFile(path: path)
        #expect(failure(file.changed()) == .unreadable)
        #expect(file.changed() == nil)
        let key = try SigningKey.p256()
        try write(#"{"keys":[\#(key.jwk("a"))]}"#)
        #expect(try file.changed()?.get().entry("a") != nil)
        #expect(file.changed() == nil)
        // As long as the former, and perhaps written in the same tick of the clock: another inode.
        try write(#"{"keys":[\#(key.jwk("b"))]}"#)
        #expect(try file.changed()?.get().entry("b") != nil)
        try write("{")
        #expect(failure(file.changed()) == .notJSON)
        #expect(file.changed() == nil)
        try FileManager.default.removeItem(atPath: path)
        #expect(failure(file.changed()) == .unreadable)
        var folder = KeyFile(path: "/tmp")
        #expect(failure(folder.changed()) == .unreadable)
        var endless = KeyFile(path: "/dev/zero")
        #expect(failure(endless.changed()) == .unreadable)
    }

    /// A close reason takes 123 bytes (RFC 6455 section 5.5.1).
    @Test func everyFaultFitsACloseReason() {
        for fault in TokenFault.allCases { #expect(fault.rawValue.utf8.count <= 123) }
    }
}
