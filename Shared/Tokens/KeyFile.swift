internal import Glibc

/// A file of keys that may be replaced at any time. Looking at it blocks for one `stat`; reading it, for a page or so
/// of a local disk. To be used by one thread at a time.
public struct KeyFile {
    /// What changes when a file is replaced or rewritten.
    struct Stamp: Equatable {
        var device: UInt64
        var inode: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int
    }

    public let path: String
    private var stamp: Stamp?
    private var hasLooked = false

    public init(path: String) { self.path = path }

    /// The keys if the file has changed since it was last looked at; nil if it has not. A fault is reported once, and again
    /// when the file has changed.
    public mutating func changed() -> Result<KeySet, KeySetError>? {
        let now = Self.stamp(path)
        if hasLooked, now == stamp { return nil }
        hasLooked = true
        stamp = now
        guard let bytes = Self.contents(path) else { return .failure(KeySetError(.unreadable)) }
        do throws(KeySetError) {
            return .success(try KeySet(jwks: bytes))
        } catch {
            return .failure(error)
        }
    }

    private static func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Stamp(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
    }

    /// One byte more than a key set may have, at most. Not a pipe or a device: reading one could wait for ever.
    private static func contents(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var bytes = [UInt8](repeating: 0, count: KeySet.maximumBytes + 1)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + length, $0.count - length) }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            length += count
        }
        return Array(bytes.prefix(length))
    }
}
