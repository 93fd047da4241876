#if canImport(Glibc)
    import Glibc
#endif

/// A file that holds one secret, as a secret store mounts it.
enum SecretFile {
    /// The most bytes of a file: a secret is short, and so are the properties of librdkafka.
    static let longest = 65_536

    struct Unreadable: Error {
        /// The reason, which a message gives behind the path of the file.
        let reason: String
    }

    /// The file's text without the line breaks at its end, which editors and `echo` leave there.
    static func read(_ path: String) throws(Unreadable) -> String {
        var bytes = try content(path)
        while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
        if bytes.isEmpty { throw Unreadable(reason: "is empty") }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Unreadable(reason: "is no text (UTF-8)") }
        return text
    }

    private static func content(_ path: String) throws(Unreadable) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable() }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw unreadable()
            }
            bytes += buffer.prefix(count)
            if bytes.count > longest { throw Unreadable(reason: "is longer than \(longest) bytes") }
        }
    }

    private static func unreadable() -> Unreadable {
        Unreadable(reason: "cannot be read: \(String(cString: strerror(errno)))")
    }
}
