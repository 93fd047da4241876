internal import COpenSSL

/// Why a certificate, a key or a list of authorities cannot be used; names the file and OpenSSL's reason.
public struct TLSError: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(_ doing: String) {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0, let reason = ERR_reason_error_string(code) else {
            description = doing
            return
        }
        description = "\(doing): \(String(cString: reason))"
    }
}

/// What the TLS connections of one side share: certificates and rules. TLS 1.2 or later, OpenSSL's default ciphers.
public final class TLSContext: @unchecked Sendable {
    // @unchecked: set up in `init`, then only read; OpenSSL counts references to an SSL_CTX atomically.
    let raw: OpaquePointer
    let isServer: Bool

    /// For connections that we open: the peer's certificate must be signed by an authority of `authorities` (a PEM file; the
    /// system's by default) and name the host.
    public init(clientTrusting authorities: String?) throws(TLSError) {
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw TLSError("a TLS context") }
        raw = context
        isServer = false
        configure()
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        if let authorities {
            guard SSL_CTX_load_verify_locations(context, authorities, nil) == 1 else {
                throw TLSError("the authorities in \(authorities)")
            }
        } else {
            SSL_CTX_set_default_verify_paths(context)
        }
    }

    /// For connections that we accept: a PEM file with our certificate and those between it and a known authority, and one with its key.
    public init(serverCertificate certificate: String, key: String) throws(TLSError) {
        guard let context = SSL_CTX_new(TLS_server_method()) else { throw TLSError("a TLS context") }
        raw = context
        isServer = true
        configure()
        carillon_ssl_ctx_keep_no_sessions(context)
        guard SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            throw TLSError("the certificate in \(certificate)")
        }
        guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 else { throw TLSError("the key in \(key)") }
        guard SSL_CTX_check_private_key(context) == 1 else { throw TLSError("\(key) is not the key of \(certificate)") }
    }

    private func configure() {
        carillon_ssl_ctx_set_modes(raw)
        _ = carillon_ssl_ctx_require_tls12(raw)
    }

    deinit { SSL_CTX_free(raw) }
}
