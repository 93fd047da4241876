internal import COpenSSL

/// Why a TLS session could not begin, or go on. Four bytes: each stream may end with one.
public struct TLSFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// Negative: what was found wrong with the peer's certificate (`X509_V_ERR_…`). Otherwise the reason of OpenSSL's SSL
    /// library (`SSL_R_…`), 0 if it named none.
    private let code: Int32

    init(certificate verdict: Int) { code = -Int32(clamping: verdict) }
    init(reason: Int32) { code = max(0, reason) }

    /// The certificate of the peer cannot be trusted: unknown authority, another name, out of date.
    public var isCertificate: Bool { code < 0 }

    /// What the peer sent is not TLS at all.
    public var isOtherProtocol: Bool {
        [SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG].contains(code)
    }

    /// A text for a log line. It holds nothing of what was sent.
    public var description: String {
        if isCertificate { return "its certificate is not trusted: " + String(cString: X509_verify_cert_error_string(-Int(code))) }
        let text = ERR_reason_error_string(carillon_ssl_error(code)).map { String(cString: $0) } ?? "broken off"
        return isOtherProtocol ? "it does not speak TLS: \(text)" : "TLS: \(text)"
    }
}
