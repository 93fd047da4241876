internal import Foundation

/// The few file operations that the cluster needs; each failure says what it was about.
enum Files {
    static func makeFolder(_ path: String) throws(ClusterError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw ClusterError("the folder \(path) cannot be made")
        }
    }

    /// Replaces the file in one step: a reader sees the old text or the new, never half of it.
    static func write(_ text: String, to path: String) throws(ClusterError) {
        do {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw ClusterError("\(path) cannot be written")
        }
    }

    static func read(_ path: String) -> String? {
        try? String(contentsOfFile: path, encoding: .utf8)
    }

    static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }

    static func isExecutable(_ path: String) -> Bool {
        FileManager.default.isExecutableFile(atPath: path)
    }

    /// Where a program of that name lies on `PATH`, Debian's folders for servers included.
    static func program(_ name: String, searching paths: String) -> String? {
        if name.contains("/") { return isExecutable(name) ? name : nil }
        let folders = paths.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/local/sbin"]
        return folders.map { $0 + "/" + name }.first(where: isExecutable)
    }

    /// The last lines of a file, of its last 8 KB at most.
    static func lastLines(_ path: String, count: Int) -> [String] {
        guard let file = FileHandle(forReadingAtPath: path) else { return [] }
        defer { try? file.close() }
        guard let end = try? file.seekToEnd(), (try? file.seek(toOffset: end > 8192 ? end - 8192 : 0)) != nil else { return [] }
        let bytes = (try? file.readToEnd()) ?? Data()
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).suffix(count).map(String.init)
    }
}
