import Network
import ServiceRuntime
import Settings

/// The gateway's own certificate: two files that are read at the start and again on SIGHUP.
struct Certificate {
    let file: String
    let key: String

    /// Nil if neither file is named. Throws if only one is.
    init?(file: String?, key: String?) throws(SettingsError) {
        if file == nil, key == nil { return nil }
        guard let file, let key else {
            let missing = file == nil ? "TLS_CERTIFICATE_FILE" : "TLS_KEY_FILE"
            throw SettingsError(name: missing, "\(missing): a certificate and its key are named together, or neither")
        }
        self.file = file
        self.key = key
    }

    /// Reads both files.
    func load() throws(TLSError) -> TLSContext { try TLSContext(serverCertificate: file, key: key) }
}
