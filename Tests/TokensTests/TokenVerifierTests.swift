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
        (#"{"sub":7,"exp":2000000000}"#, .badSubject), (#"{"sub":"a{b","exp":2000000000}"#, .badSubject),
        (#"{"sub":"a\u0000","exp":2000000000}"#, .badSubject), (#"{"sub":"a"}"#, .noExpiry),
        (#"{"sub":"a","exp":"2000000000"}"#, .badTime), (#"{"sub":"a","exp":-1}"#, .badTime),
        (#"{"sub":"a","exp":1e300}"#, .badTime), (#"{"sub":"a","exp":null}"#, .badTime),
        (#"{"sub":"a","exp":2000000000,"channels":"x"}"#, .badChannels),
        (#"{"sub":"a","exp":2000000000,"channels":["x|y"]}"#, .badChannels),
        (#"{"sub":"a","exp":2000000000,"device":""}"#, .badDevice), (#"{"sub":"a","exp":2000000000,"jti":""}"#, .badID),
        ("", .claimsNotJSON), ("[1]", .claimsNotJSON), (#"{"sub":"a","exp":2000000000"#, .claimsNotJSON),
        (#"{"sub":"a","exp":2000000000,}"#, .claimsNotJSON), (#"{"sub":"a","sub":"b","exp":2000000000}"#, .claimsNotJSON),
        (#"{"sub":"\ud800","exp":2000000000}"#, .claimsNotJSON), (#"{"sub":"a","exp":02000000000}"#, .claimsNotJSON),
    ])
    func claimFaults(_ claims: String, _ expected: TokenFault) {
        #expect(fault(signed(claims)) == .invalid(expected))
    }

    @Test func notUTF8() {
        let input = "\(base64url(Array(#"{"alg":"HS256"}"#.utf8))).\(base64url([0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D]))"
        let code = HMACKey(Array(secret.utf8)).code(Array(input.utf8))
        #expect(fault("\(input).\(base64url(code))") == .invalid(.claimsNotJSON))
    }

    @Test func nestingHasALimit() {
        let deep = String(repeating: "[", count: 17) + String(repeating: "]", count: 17)
        #expect(fault(signed(#"{"sub":"a","exp":2000000000,"info":\#(deep)}"#)) == .invalid(.claimsNotJSON))
    }

    @Test func issuerAndAudience() {
        let token = signed(#"{"sub":"a","exp":2000000000,"iss":"me","aud":["you","them"]}"#)
        #expect(fault(token, issuer: "me", audience: "them") == nil)
        #expect(fault(token, issuer: "you") == .invalid(.wrongIssuer))
        #expect(fault(token, audience: "me") == .invalid(.wrongAudience))
        #expect(fault(signed(#"{"sub":"a","exp":2000000000}"#), issuer: "me") == .invalid(.wrongIssuer))
        #expect(fault(signed(#"{"sub":"a","exp":2000000000}"#), audience: "me") == .invalid(.wrongAudience))
    }

    @Test func noByteStringTraps() {
        var random = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0 ... .max, using: &random)
        var state = seed
        let whole = Array(signed(#"{"sub":"a\u00e9","exp":2000000000,"info":{"a":[1,-2.5e3,true,null]}}"#).utf8)
        for _ in 0..<2000 {
            var token = whole
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            token[Int(state >> 33) % token.count] = UInt8(truncatingIfNeeded: state >> 20)
            token.removeLast(Int(state >> 50) % token.count)
            _ = fault(String(decoding: token, as: UTF8.self))
            var claims = Array(#"{"sub":"a\u00e9","exp":2000000000,"info":{"a":[1,-2.5e3,true,null]}}"#.utf8)
            claims[Int(state >> 33) % claims.count] = UInt8(truncatingIfNeeded: state >> 20)
            claims.removeLast(Int(state >> 50) % claims.count)
            _ = ClaimsReader.members(claims)
        }
    }
}
