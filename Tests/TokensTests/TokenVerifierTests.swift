import TestSupport
import Testing

@testable import Tokens

private let secret = "a-secret-of-thirty-two-bytes-or-more"
private let now: Int64 = 1_800_000_000

/// A token with header and claims as given, signed properly.
private func signed(_ claims: String, header: String = #"{"alg":"HS256"}"#, secret: String = secret) -> String {
    let input = signingInput(header: header, claims: claims)
    return "\(input).\(base64url(HMACKey(Array(secret.utf8)).code(Array(input.utf8))))"
}

private func fault(_ token: String, issuer: String? = nil, audience: String? = nil) -> TokenError? {
    switch TokenVerifier(secret: secret, issuer: issuer, audience: audience).verify(token, now: now) {
    case .success: nil
    case .failure(let error): error
    }
}

@Suite struct TokenVerifierTests {
    @Test func acceptsWhatWasMinted() {
        let claims = TokenClaims(
            subject: "acme/bob \"é\"", expires: now + 60, issuedAt: now, channels: ["general", "b"],
            info: Array(#"{"name":"Bob"}"#.utf8), device: "phone", id: "t1")
        let token = mintHS256(claims, secret: secret, issuer: "me", audience: "you")
        #expect(TokenVerifier(secret: secret, issuer: "me", audience: "you").verify(token, now: now) == .success(claims))
    }

    @Test func acceptsWhatPythonSigned() {
        // Made with Python's hmac, hashlib and base64.
        let token =
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTkwMDAwMDAwMH0"
            + ".dkSdfygQZ80MDu74GwFibhOGUahUszcx4nbKCFwwy7U"
        #expect(fault(token) == nil)
    }

    @Test func expiryIsExact() {
        #expect(fault(signed(#"{"sub":"a","exp":\#(now + 1)}"#)) == nil)
        #expect(fault(signed(#"{"sub":"a","exp":\#(now)}"#)) == .expired(secondsAgo: 0))
        #expect(fault(signed(#"{"sub":"a","exp":\#(now - 40)}"#))?.description == "the token expired 40 s ago")
    }

    @Test func clocksMayDifferByAMinute() {
        #expect(fault(signed(#"{"sub":"a","exp":2e9,"iat":\#(now + 60),"nbf":\#(now + 60)}"#)) == nil)
        #expect(fault(signed(#"{"sub":"a","exp":2e9,"iat":\#(now + 61)}"#)) == .invalid(.issuedInFuture))
        #expect(fault(signed(#"{"sub":"a","exp":2e9,"nbf":\#(now + 61)}"#)) == .invalid(.notYetValid))
    }

    @Test(arguments: ["none", "None", "nOnE"]) func algorithmNone(_ name: String) {
        let input = signingInput(header: #"{"alg":"\#(name)"}"#, claims: #"{"sub":"a","exp":2000000000}"#)
        #expect(fault(input + ".") == .invalid(.unsigned))
    }

    @Test(arguments: ["RS256", "ES256"]) func algorithmIsTheKeys(_ name: String) {
        #expect(
            fault(signed(#"{"sub":"a","exp":2000000000}"#, header: #"{"alg":"\#(name)"}"#)) == .invalid(.algorithmMismatch))
    }

    @Test(arguments: ["HS384", "HS512", "hs256", "PS256", "RS512", "EdDSA"])
    func algorithmIsPinned(_ name: String) {
        #expect(
            fault(signed(#"{"sub":"a","exp":2000000000}"#, header: #"{"alg":"\#(name)"}"#)) == .invalid(.otherAlgorithm))
    }

    @Test func headerFaults() {
        let claims = #"{"sub":"a","exp":2000000000}"#
        #expect(fault(signed(claims, header: "[]")) == .invalid(.headerNotJSON))
        #expect(fault(signed(claims, header: #"{"alg":"HS256"} x"#)) == .invalid(.headerNotJSON))
        #expect(fault(signed(claims, header: #"{"alg":"HS256","alg":"none"}"#)) == .invalid(.headerNotJSON))
        #expect(fault(signed(claims, header: #"{"typ":"JWT"}"#)) == .invalid(.noAlgorithm))
        #expect(fault(signed(claims, header: #"{"alg":256}"#)) == .invalid(.noAlgorithm))
        #expect(fault(signed(claims, header: #"{"alg":"HS256","crit":["exp"]}"#)) == .invalid(.critical))
        #expect(fault(signed(claims, header: #"{"alg":"HS256","kid":"../../etc/passwd"}"#)) == nil)
    }

    @Test func forged() {
        let claims = #"{"sub":"a","exp":2000000000}"#
        #expect(fault(signed(claims, secret: "another secret")) == .invalid(.badSignature))
        let parts = signed(claims).split(separator: ".")
        #expect(
            fault("\(parts[0]).\(base64url(Array(#"{"sub":"b","exp":2000000000}"#.utf8))).\(parts[2])") == .invalid(.badSignature)
        )
        #expect(fault("\(parts[0]).\(parts[1]).") == .invalid(.badSignature))
        #expect(fault("\(parts[0]).\(parts[1]).\(parts[2].dropLast(2))") != nil)
    }

    @Test(arguments: ["", ".", "a.b", "a.b.c.d", "..", "not a token"])
    func notATokenAtAll(_ text: String) { #expect(fault(text) != nil) }

    @Test func shapeFaults() {
        #expect(fault("a.b") == .invalid(.notThreeParts))
        #expect(fault("e30=.e30.e30") == .invalid(.notBase64))
        #expect(fault(String(repeating: "a", count: 8193)) == .invalid(.tooLarge))
    }

    @Test(arguments: [
        (#"{"exp":2000000000}"#, TokenFault.noSubject), (#"{"sub":"","exp":2000000000}"#, .badSubject),
        (#"{"sub":7,"exp":2000000000}"#, .subjectNotText), (#"{"sub":null,"exp":2000000000}"#, .noSubject),
        (#"{"sub":["a"],"exp":2000000000}"#, .subjectNotText), (#"{"sub":"a{b","exp":2000000000}"#, .badSubject),
        (#"{"sub":"a\u0000","exp":2000000000}"#, .badSubject), (#"{"sub":"a"}"#, .noExpiry),
        (#"{"sub":"a","exp":"2000000000"}"#, .badExpiry), (#"{"sub":"a","exp":-1}"#, .badExpiry),
        (#"{"sub":"a","exp":1e300}"#, .badExpiry), (#"{"sub":"a","exp":null}"#, .noExpiry),
        (#"{"sub":"a","exp":2000000000,"iat":"x"}"#, .badIssuedAt), (#"{"sub":"a","exp":2000000000,"nbf":[1]}"#, .badNotBefore),
        (#"{"sub":"a","exp":1800000060000}"#, .expiryInMilliseconds),
        (#"{"sub":"a","exp":2000000000,"iat":1799999999000}"#, .issuedInMilliseconds),
        (#"{"sub":"a","exp":2000000000,"nbf":1.799999999e12}"#, .notBeforeInMilliseconds),
        (#"{"sub":"a","exp":1800000060000000}"#, .badExpiry),
        (#"{"sub":"a","exp":2000000000,"channels":"x"}"#, .channelsNotList),
        (#"{"sub":"a","exp":2000000000,"channels":["x",7]}"#, .channelsNotList),
        (#"{"sub":"a","exp":2000000000,"channels":["x{y"]}"#, .badChannels),
        (#"{"sub":"a","exp":2000000000,"device":7}"#, .deviceNotText),
        (#"{"sub":"a","exp":2000000000,"device":""}"#, .badDevice), (#"{"sub":"a","exp":2000000000,"jti":""}"#, .badID),
        (#"{"sub":"a","exp":2000000000,"jti":7}"#, .badID),
        ("", .claimsNotJSON), ("[1]", .claimsNotJSON), (#"{"sub":"a","exp":2000000000"#, .claimsNotJSON),
        (#"{"sub":"a","exp":2000000000,}"#, .claimsNotJSON), (#"{"sub":"a","sub":"b","exp":2000000000}"#, .claimsNotJSON),
        (#"{"sub":"a","\u0073ub":"b","exp":2000000000}"#, .claimsNotJSON),
        (#"{"sub":"\ud800","exp":2000000000}"#, .subjectNotText), (#"{"sub":"a","exp":02000000000}"#, .claimsNotJSON),
        (#"{"sub":"a","exp":2000000000,"x":tru}"#, .claimsNotJSON), (#"{"sub":"a","exp":2000000000,"x":[1,]}"#, .claimsNotJSON),
        (#"{"sub":"a","exp":2000000000,"x":{"y"}}"#, .claimsNotJSON), (#"{"sub":"a","exp":2000000000,"x":"\q"}"#, .claimsNotJSON),
        (#"{"sub":"a","exp":2000000000,"x":[}]}"#, .claimsNotJSON), (#"{"sub":"a","exp":2000000000,"x":{]}}"#, .claimsNotJSON),
    ])
    func claimFaults(_ claims: String, _ expected: TokenFault) {
        #expect(fault(signed(claims)) == .invalid(expected))
    }

    @Test func notUTF8() {
        let input = "\(base64url(Array(#"{"alg":"HS256"}"#.utf8))).\(base64url([0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D]))"
        let code = HMACKey(Array(secret.utf8)).code(Array(input.utf8))
        #expect(fault("\(input).\(base64url(code))") == .invalid(.claimsNotJSON))
    }

    /// What means nothing here decides nothing.
    @Test(arguments: [
        "null", String(repeating: "7", count: 40), "-1.5e-300", "1e999", #""\ud83d""#, #"{"\udc00":[null,true,{"a":{}}]}"#, "[]", "{}",
        "[[],{},[{}]]", #""\u0000\\\"\/""#, String(repeating: "[", count: 900) + String(repeating: "]", count: 900),
    ])
    func otherClaimsMayBeAnything(_ value: String) {
        #expect(fault(signed(#"{"sub":"a","x":\#(value),"exp":2000000000,"x":\#(value),"\ud800":\#(value)}"#)) == nil)
        #expect(fault(signed(claimsOfA, header: #"{"x":\#(value),"alg":"HS256"}"#)) == nil)
        // Nor do those of ours that are not compared.
        #expect(fault(signed(#"{"sub":"a","exp":2000000000,"iss":\#(value),"aud":\#(value)}"#)) == nil)
    }

    private var claimsOfA: String { #"{"sub":"a","exp":2000000000}"# }

    @Test func aHundredClaimsAndMore() {
        let many = (0..<500).map { #""c\#($0)":\#($0)"# }.joined(separator: ",")
        #expect(fault(signed(#"{\#(many),"sub":"a","exp":2000000000}"#)) == nil)
    }

    @Test func nullMeansAbsent() {
        let token = signed(
            #"{"sub":"a","exp":2000000000,"iat":null,"nbf":null,"jti":null,"device":null,"channels":null,"info":null,"iss":null,"aud":null}"#,
            header: #"{"alg":"HS256","kid":null}"#)
        #expect(
            TokenVerifier(secret: secret).verify(token, now: now)
                == .success(TokenClaims(subject: "a", expires: 2_000_000_000)))
        #expect(fault(token, issuer: "me") == .invalid(.wrongIssuer))
    }

    @Test func whatOthersAreShownHasALimit() {
        func info(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(fault(signed(#"{"sub":"a","exp":2000000000,"info":\#(info(60))}"#)) == nil)
        #expect(fault(signed(#"{"sub":"a","exp":2000000000,"info":\#(info(64))}"#)) == .invalid(.badInfo))
    }

    @Test func noTokenLivesForEver() {
        func fault(_ claims: String) -> TokenError? {
            switch TokenVerifier(secret: secret, maximumLifetime: 3600).verify(signed(claims), now: now) {
            case .success: nil
            case .failure(let error): error
            }
        }
        #expect(fault(#"{"sub":"a","exp":\#(now + 3600)}"#) == nil)
        #expect(fault(#"{"sub":"a","exp":\#(now + 3660)}"#) == nil, "clocks may differ by a minute")
        #expect(fault(#"{"sub":"a","exp":\#(now + 3661)}"#) == .invalid(.livesTooLong))
        #expect(fault(#"{"sub":"a","exp":\#(now + 3660),"iat":\#(now + 60)}"#) == nil)
        // Nor in its last hour: until then its revocation may have been forgotten.
        #expect(fault(#"{"sub":"a","exp":\#(now + 10),"iat":\#(now - 3600)}"#) == .invalid(.livesTooLong))
        #expect(fault(#"{"sub":"a","exp":\#(now + 10),"iat":\#(now - 3590)}"#) == nil)
        #expect(fault(#"{"sub":"a","exp":\#(now - 10),"iat":\#(now - 9000)}"#) == .expired(secondsAgo: 10))
        #expect(fault(#"{"sub":"a","exp":9999999999}"#)?.description.contains("TOKEN_MAX_LIFETIME") == true)
        #expect(
            fault(#"{"sub":"a","exp":\#(now * 1000)}"#)?.description == "exp is in milliseconds; it must be in seconds")
    }

    @Test func issuerAndAudience() {
        let token = signed(#"{"sub":"a","exp":2000000000,"iss":"me","aud":["you","them"]}"#)
        #expect(fault(token, issuer: "me", audience: "them") == nil)
        #expect(fault(token, issuer: "you") == .invalid(.wrongIssuer))
        #expect(fault(token, audience: "me") == .invalid(.wrongAudience))
        #expect(fault(signed(#"{"sub":"a","exp":2000000000}"#), issuer: "me") == .invalid(.wrongIssuer))
        #expect(fault(signed(#"{"sub":"a","exp":2000000000}"#), audience: "me") == .invalid(.wrongAudience))
    }

    /// RFC 7519 section 7.3: no normalization.
    @Test func issuerAndAudienceAreTheirBytes() {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        let token = signed(#"{"sub":"a","exp":2000000000,"iss":"\#(composed)","aud":"\#(composed)"}"#)
        #expect(fault(token, issuer: composed, audience: composed) == nil)
        #expect(fault(token, issuer: decomposed) == .invalid(.wrongIssuer))
        #expect(fault(token, audience: decomposed) == .invalid(.wrongAudience))
        let several = signed(#"{"sub":"a","exp":2000000000,"aud":["x","\#(composed)"]}"#)
        #expect(fault(several, audience: composed) == nil)
        #expect(fault(several, audience: decomposed) == .invalid(.wrongAudience))
    }

    @Test func noByteStringTraps() {
        var random = SeededGenerator(seed: TestSeed.announced())
        let whole = Array(signed(#"{"sub":"a\u00e9","exp":2000000000,"info":{"a":[1,-2.5e3,true,null]}}"#).utf8)
        for _ in 0..<2000 {
            var token = whole
            let state = random.next()
            token[Int(state >> 33) % token.count] = UInt8(truncatingIfNeeded: state >> 20)
            token.removeLast(Int(state >> 50) % token.count)
            _ = fault(String(decoding: token, as: UTF8.self))
            var claims = Array(#"{"sub":"a\u00e9","exp":2000000000,"info":{"a":[1,-2.5e3,true,null]}}"#.utf8)
            claims[Int(state >> 33) % claims.count] = UInt8(truncatingIfNeeded: state >> 20)
            claims.removeLast(Int(state >> 50) % claims.count)
            _ = ClaimsReader.members(claims, ["sub", "exp", "info", "a"])
        }
    }
}
