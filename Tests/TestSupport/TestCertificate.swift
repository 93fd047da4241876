internal import Foundation

/// A certificate of its own authority for `localhost` and 127.0.0.1, made by the openssl command.
public final class TestCertificate: Sendable {
    private let folder: URL
    public var certificate: String { folder.appendingPathComponent("certificate.pem").path }
    public var key: String { folder.appendingPathComponent("key.pem").path }

    public init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        _ = try Child.output(
            of: "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate,
            ])
    }

    deinit { try? FileManager.default.removeItem(at: folder) }
}
