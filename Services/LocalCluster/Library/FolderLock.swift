internal import Foundation
internal import Glibc

/// Holds a cluster's folder for this process: two Redis on one log of writes would lose what both acknowledged. The kernel lets go of it
/// when the process ends, however it ends.
final class FolderLock {
    private let file: FileHandle

    /// Takes the folder, or says who has it.
    init(_ folder: String) throws(ClusterError) {
        let path = folder + "/lock"
        if !FileManager.default.fileExists(atPath: path) { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        guard let file = FileHandle(forUpdatingAtPath: path) else { throw ClusterError("\(path) cannot be written") }
        guard flock(file.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = Files.read(path).flatMap { Int32($0) }.map { " (process \($0))" } ?? ""
            throw ClusterError(
                "the folder \(folder) is that of another `make run`\(holder); choose another with LOCAL_DIRECTORY=… (and EDGE_PORT=…)")
        }
        try? file.truncate(atOffset: 0)
        try? file.write(contentsOf: Data("\(getpid())".utf8))
        self.file = file
    }
}
