import Testing

@testable import Kafka

@Suite struct ConnectionFaultTests {
    /// Lines as librdkafka 2.0.2 wrote them.
    @Test(arguments: [
        (
            "[thrd:sasl_ssl://b:9094/bootstrap]: sasl_ssl://b:9094/bootstrap: SASL authentication error: Authentication failed: "
                + "Invalid username or password (after 302ms in state AUTH_REQ, 1 identical error(s) suppressed)",
            "b:9094: it refuses user or password (sasl.username, sasl.password)"
        ),
        (
            "[thrd:sasl_ssl://b:9094/1]: sasl_ssl://b:9094/1: SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Unsupported SASL "
                + "mechanism: broker's supported mechanisms: PLAIN (after 302ms in state AUTH_HANDSHAKE)",
            "b:9094: it does not take this sasl.mechanism; it takes PLAIN"
        ),
        (
            "[thrd:ssl://b:9094/1]: ssl://b:9094/1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker "
                + "certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA certificates are "
                + "installed (install ca-certificates package) (after 14ms in state SSL_HANDSHAKE)",
            "b:9094: its certificate is not trusted (ssl.ca.location)"
        ),
        (
            "[thrd:ssl://b:9094/bootstrap]: ssl://b:9094/bootstrap: Disconnected: verify that security.protocol is correctly configured, "
                + "broker might require SASL authentication (after 6ms in state UP)",
            "b:9094: this listener wants SASL (security.protocol)"
        ),
        (
            "[thrd:b:9094/bootstrap]: b:9094/bootstrap: Disconnected while requesting ApiVersion: might be caused by incorrect "
                + "security.protocol configuration (connecting to a SSL listener?) or broker version is < 0.10 (see api.version.request) "
                + "(after 2ms in state APIVERSION_QUERY)",
            "b:9094: this listener speaks TLS, it seems (security.protocol)"
        ),
        (
            "[thrd:sasl_plaintext://b:9092/bootstrap]: sasl_plaintext://b:9092/bootstrap: SASL PLAIN mechanism handshake failed: Broker: "
                + "Request not valid in current SASL state: broker's supported mechanisms:  (after 2ms in state AUTH_HANDSHAKE)",
            "b:9092: this listener takes no SASL (security.protocol)"
        ),
        (
            "[thrd:ssl://b:9092/bootstrap]: ssl://b:9092/bootstrap: error:0A000126:SSL routines::unexpected eof while reading (after 5ms in "
                + "state SSL_HANDSHAKE)",
            "b:9092: the handshake of TLS failed, as where a listener speaks none (security.protocol): error:0A000126:SSL routines::"
                + "unexpected eof while reading"
        ),
        (
            "[thrd:b:1/bootstrap]: b:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
            "b:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused"
        ),
    ])
    func linesBecomeWords(_ line: String, _ reason: String) {
        #expect(ConnectionFault(logLine: line)?.reason == reason)
    }

    @Test(arguments: [
        "", "[", "[thrd:a]: ", "no colon",
        "[thrd:ssl://b:1/bootstrap]: ssl://b:1/bootstrap: No further error information available (after 0ms in state SSL_HANDSHAKE)",
    ])
    func linesThatTellNothing(_ line: String) { #expect(ConnectionFault(logLine: line) == nil) }
}
