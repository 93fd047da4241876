// What must hold of tokens and of key sets for any bytes at all. Tests/Fuzz compiles this file too.
import Models
import Tokens

private let (secret, now) = ("a secret of thirty-two bytes or so", Int64(1_700_000_000))
private let verifier = TokenVerifier(secret: secret)

/// What is wrong with what is made of `input`, or nil: as a token, as a set of keys, and as a header and claims (the line feed
/// divides them) that are rightly signed.
func faultOfTokens(_ input: [UInt8]) -> String? {
    if case .success = verifier.verify(String(decoding: input, as: UTF8.self), now: now) { return "it is not signed by us" }
    if let keys = try? KeySet(jwks: input), keys.count + keys.passedOver.count > KeySet.maximumKeys { return "too many keys" }
    let parts = input.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false).map { Array($0) }
    let header = parts.count == 2 ? parts[0] : Array(#"{"alg":"HS256"}"#.utf8)
    let token = signed(header, parts[parts.count - 1])
    guard case .success(let claims) = verifier.verify(token, now: now) else { return nil }
    if let fault = fault(of: claims) { return fault }
    let again = mintHS256(claims, secret: secret)
    if again.utf8.count <= TokenVerifier.maximumLength, verifier.verify(again, now: now) != .success(claims) {
        return "minted again it means something else"
    }
    if case .success = TokenVerifier(secret: "another \(secret)").verify(token, now: now) { return "any secret will do" }
    return nil
}

private func signed(_ header: [UInt8], _ claims: [UInt8]) -> String {
    let input = "\(base64url(header)).\(base64url(claims))"
    return "\(input).\(base64url(HMACKey(Array(secret.utf8)).code(Array(input.utf8))))"
}

private func fault(of claims: TokenClaims) -> String? {
    if claims.expires <= now { return "it has expired" }
    if PersonID(claims.subject) == nil { return "its subject is no person" }
    if let id = claims.id, !(1...255).contains(id.utf8.count) { return "an id of \(id.utf8.count) bytes" }
    if let info = claims.info, (try? JSON.document(info.span)) != 0..<info.count { return "its info is not one JSON value" }
    if claims.channels.contains(where: { ChannelID($0) == nil }) { return "a channel that is none" }
    return nil
}
