internal import Foundation

/// A target without inputs, or hardly any.
public struct NoCorpus: Error {}

/// What fuzzing (Tests/Fuzz) has found worth keeping for a target, by name.
public func fuzzCorpus(_ target: String) throws -> [(name: String, bytes: [UInt8])] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fuzz/corpus/\(target)")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    guard files.count > 10 else { throw NoCorpus() }
    return try files.map { ($0.lastPathComponent, Array(try Data(contentsOf: $0))) }
}
