import Foundation

/// A text file of the repository.
struct SourceFile: Sendable {
    /// Relative to the repository's root.
    let path: String
    let lines: [String]

    var isSwift: Bool { path.hasSuffix(".swift") }
    /// `Shared/EventLoop/LoopHandle.swift` is of `Shared/EventLoop`.
    func isUnder(_ folder: String) -> Bool { path.hasPrefix(folder + "/") }
}

/// The repository as it lies on the disk.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Every text file that is ours, read once.
    static let files: [SourceFile] = {
        let folders = ["Services", "Shared", "Tests", "Benchmarks", "deploy", "docs", "scripts", ".ci"]
        let single = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "Package.swift", "docker-compose.yml"]
        let paths = folders.flatMap(list) + single
        return paths.compactMap(read)
    }()

    static let swift = files.filter(\.isSwift)
    /// What is shipped, without tests.
    static let shipped = swift.filter { $0.isUnder("Services") || $0.isUnder("Shared") }
    static let markdown = files.filter { $0.path.hasSuffix(".md") }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root.appending(path: path).path) }

    private static func list(_ folder: String) -> [String] {
        let base = root.appending(path: folder)
        let skipped: Set = ["node_modules", "__pycache__", ".venv", ".build"]
        guard let walk = FileManager.default.enumerator(atPath: base.path) else { return [] }
        var paths: [String] = []
        while let path = walk.nextObject() as? String {
            if skipped.contains((path as NSString).lastPathComponent) {
                walk.skipDescendants()
            } else {
                paths.append(folder + "/" + path)
            }
        }
        return paths.sorted()
    }

    private static func read(_ path: String) -> SourceFile? {
        var isFolder: ObjCBool = false
        let place = root.appending(path: path).path
        guard FileManager.default.fileExists(atPath: place, isDirectory: &isFolder), !isFolder.boolValue,
            let data = FileManager.default.contents(atPath: place), data.count < 1 << 20,
            let text = String(data: data, encoding: .utf8), !text.utf8.contains(0)
        else { return nil }
        return SourceFile(path: path, lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
    }
}

extension String {
    /// The line without a comment at its end. A `//` inside a string ends it too early, which only hides the string's rest.
    var code: String {
        guard let comment = range(of: "//") else { return self }
        return String(self[..<comment.lowerBound])
    }

    /// Whether `word` stands in it with no letter or digit on either side.
    func has(word: String) -> Bool {
        var rest = self[...]
        while let found = rest.range(of: word) {
            let before = found.lowerBound == startIndex ? nil : self[index(before: found.lowerBound)]
            let after = found.upperBound == endIndex ? nil : self[found.upperBound]
            let isPart = { (character: Character?) in character.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false }
            if !isPart(before), !isPart(after) || word.last?.isLetter == false { return true }
            rest = rest[found.upperBound...]
        }
        return false
    }
}
