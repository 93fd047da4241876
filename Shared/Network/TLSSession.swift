internal import COpenSSL

/// The TLS side of one stream: ciphertext in, plaintext out, and back; it knows no socket. Loop thread only.
final class TLSSession {
    enum Progress: Equatable {
        /// The handshake goes on, or all is well.
        case open
        /// The peer ended the session in order.
        case ended
        /// Not TLS, a certificate that is not trusted, a broken record.
        case failed(TLSFault)
    }

    private let ssl: OpaquePointer
    /// Ciphertext from the peer; owned by `ssl`.
    private let incoming: OpaquePointer
    /// Ciphertext for the peer; owned by `ssl`.
    private let outgoing: OpaquePointer
    private(set) var isEstablished = false
    /// Plaintext of this turn, or from before the handshake was done; it leaves in whole records.
    private var pending: ContiguousArray<[UInt8]> = []
    private(set) var pendingBytes = 0

    private static let recordBytes = 16_384

    /// - Parameter host: for a client: the name that the peer's certificate must bear (a name or a numeric address).
    init?(context: TLSContext, host: String?) {
        guard let ssl = SSL_new(context.raw), let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            return nil
        }
        (self.ssl, self.incoming, self.outgoing) = (ssl, incoming, outgoing)
        carillon_bio_never_ends(incoming)
        SSL_set_bio(ssl, incoming, outgoing)
        if context.isServer {
            SSL_set_accept_state(ssl)
        } else {
            SSL_set_connect_state(ssl)
            if let host { expect(host) }
        }
    }

    /// RFC 6125: an address is compared with the addresses of the certificate, and a name with its names. Only a name is sent
    /// (RFC 6066).
    private func expect(_ host: String) {
        guard X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) != 1 else { return }
        ERR_clear_error()
        _ = carillon_ssl_set_host_name(ssl, host)
        SSL_set1_host(ssl, host)
    }

    deinit { SSL_free(ssl) }

    /// Begins a client's handshake, or goes on with any.
    func shakeHands() -> Progress {
        guard !isEstablished else { return .open }
        forgetErrors()
        let status = SSL_do_handshake(ssl)
        if status == 1 { isEstablished = true }
        return status == 1 ? .open : progress(status)
    }

    /// Takes what the socket gave and hands out what it means, in pieces that lie in `buffer`.
    func receive(
        _ bytes: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer, _ plain: (UnsafeRawBufferPointer) -> Void
    ) -> Progress {
        guard BIO_write(incoming, bytes.baseAddress, Int32(truncatingIfNeeded: bytes.count)) == bytes.count else {
            return .failed(TLSFault(reason: 0))
        }
        let shaken = shakeHands()
        guard shaken == .open, isEstablished else {
            carillon_bio_release(incoming)
            return shaken
        }
        while true {
            forgetErrors()
            let count = SSL_read(ssl, buffer.baseAddress, Int32(truncatingIfNeeded: buffer.count))
            guard count > 0 else {
                carillon_bio_release(incoming)
                return progress(count)
            }
            plain(UnsafeRawBufferPointer(rebasing: buffer[..<Int(count)]))
        }
    }

    func append(_ bytes: [UInt8]) {
        pending.append(bytes)
        pendingBytes += bytes.count
    }

    /// Encrypts what was appended, in full records; nothing of it before the handshake is done.
    func encryptPending() -> Progress {
        guard isEstablished, pendingBytes > 0 else { return .open }
        var record: [UInt8] = []
        record.reserveCapacity(min(pendingBytes, Self.recordBytes))
        for chunk in pending {
            var rest = chunk[...]
            while !rest.isEmpty {
                let part = rest.prefix(Self.recordBytes - record.count)
                record += part
                rest = rest.dropFirst(part.count)
                if record.count == Self.recordBytes, let fault = encrypt(&record) { return .failed(fault) }
            }
        }
        pending = []
        pendingBytes = 0
        if !record.isEmpty, let fault = encrypt(&record) { return .failed(fault) }
        return .open
    }

    private func encrypt(_ record: inout [UInt8]) -> TLSFault? {
        defer { record.removeAll(keepingCapacity: true) }
        forgetErrors()
        // A memory BIO takes all there is.
        return SSL_write(ssl, record, Int32(truncatingIfNeeded: record.count)) == record.count ? nil : fault()
    }

    /// Ends the session in order; its last record waits in `ciphertext`.
    func end() { SSL_shutdown(ssl) }

    /// What is to be sent to the peer now.
    func ciphertext() -> [UInt8] {
        let length = carillon_bio_pending(outgoing)
        guard length > 0 else { return [] }
        defer { carillon_bio_release(outgoing) }
        return [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            count = max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(truncatingIfNeeded: length))))
        }
    }

    /// OpenSSL looks at this thread's queue of errors, too, to tell what a call means (SSL_get_error(3)). Others leave errors
    /// there, of a signature or a file; they must not be taken for errors of this session.
    private func forgetErrors() { ERR_clear_error() }

    private func progress(_ status: Int32) -> Progress {
        defer { ERR_clear_error() }
        switch SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .open
        case SSL_ERROR_ZERO_RETURN: return .ended
        default: return .failed(fault())
        }
    }

    /// The fault of the call that has just failed.
    private func fault() -> TLSFault {
        let verdict = SSL_get_verify_result(ssl)
        if !isEstablished, verdict != Int(X509_V_OK) { return TLSFault(certificate: verdict) }
        return TLSFault(reason: carillon_ssl_reason(ERR_peek_error()))
    }
}
