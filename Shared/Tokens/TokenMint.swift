/// A token signed with HS256, as a verifier with the same secret takes it. For development and tests: in production
/// tokens are made by whoever knows the person.
public func mintHS256(
    _ claims: TokenClaims, secret: String, issuer: String? = nil, audience: String? = nil
) -> String {
    var members = ["\"sub\":\(quoted(claims.subject))", "\"exp\":\(claims.expires)"]
    if let issuedAt = claims.issuedAt { members.append("\"iat\":\(issuedAt)") }
    if let issuer { members.append("\"iss\":\(quoted(issuer))") }
    if let audience { members.append("\"aud\":\(quoted(audience))") }
    if !claims.channels.isEmpty {
        members.append("\"channels\":[\(claims.channels.map(quoted).joined(separator: ","))]")
    }
    if let info = claims.info { members.append("\"info\":\(String(decoding: info, as: UTF8.self))") }
    if let device = claims.device { members.append("\"device\":\(quoted(device))") }
    if let id = claims.id { members.append("\"jti\":\(quoted(id))") }
    let input = signingInput(header: #"{"alg":"HS256","typ":"JWT"}"#, claims: "{\(members.joined(separator: ","))}")
    let key = HMACKey(Array(secret.utf8))
    return "\(input).\(base64url(key.code(Array(input.utf8))))"
}

/// What a signature is made over (RFC 7515 section 5.1).
func signingInput(header: String, claims: String) -> String {
    "\(base64url(Array(header.utf8))).\(base64url(Array(claims.utf8)))"
}

/// A JSON string.
func quoted(_ text: String) -> String {
    var bytes: [UInt8] = [UInt8(ascii: "\"")]
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
        case ..<0x20: bytes += Array("\\u00\(hexadecimal([byte]))".utf8)
        default: bytes.append(byte)
        }
    }
    bytes.append(UInt8(ascii: "\""))
    return String(decoding: bytes, as: UTF8.self)
}
