/// Why a connection to a broker failed, read from the words of librdkafka's log. Its errors only say that there is no connection.
struct ConnectionFault: Equatable, Sendable {
    /// The broker's address, and what is wrong, in words that name the property to look at. It holds nothing of a record or a
    /// secret.
    let reason: String

    /// - Parameter line: what librdkafka logs as `FAIL`; nil if it tells nothing.
    init?(logLine line: String) {
        var text = line[...]
        // `[thrd:sasl_ssl://host:9094/1]: sasl_ssl://host:9094/1: what it is (after 5ms in state AUTH_REQ)`
        if text.hasPrefix("["), let end = text.firstRange(of: "]: ") { text = text[end.upperBound...] }
        var state = ""
        if let end = text.ranges(of: " (after ").last {
            state = String(text[end.upperBound...])
            text = text[..<end.lowerBound]
        }
        guard let separator = text.firstRange(of: ": "), !text.hasSuffix("No further error information available") else { return nil }
        let broker = text[..<separator.lowerBound].split(separator: "/").first { !$0.hasSuffix(":") } ?? ""
        let said = text[separator.upperBound...]
        reason = "\(broker): \(Self.meaning(said, inHandshake: state.contains("SSL_HANDSHAKE")) ?? String(said))"
    }

    private static func meaning(_ said: Substring, inHandshake: Bool) -> String? {
        if said.contains("certificate verify failed") {
            return "its certificate is not trusted (ssl.ca.location)"
        } else if said.hasPrefix("SASL authentication error") {
            return "it refuses user or password (sasl.username, sasl.password)"
        } else if said.contains("Unsupported SASL mechanism") {
            return "it does not take this sasl.mechanism; " + (said.split(separator: ": ").last.map { "it takes \($0)" } ?? "")
        } else if said.contains("not valid in current SASL state") {
            return "this listener takes no SASL (security.protocol)"
        } else if said.contains("broker might require SASL") {
            return "this listener wants SASL (security.protocol)"
        } else if said.contains("connecting to a SSL listener?") {
            return "this listener speaks TLS, it seems (security.protocol)"
        } else if inHandshake {
            return "the handshake of TLS failed, as where a listener speaks none (security.protocol): \(said)"
        }
        return nil
    }
}
