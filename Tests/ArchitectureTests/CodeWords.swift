import Foundation

/// One line of Swift, taken apart.
struct CodeLine {
    /// What the compiler reads, strings among it.
    let code: Substring
    /// What stands behind `//`; empty without a comment.
    let comment: Substring

    /// A `//` inside a string of one line begins no comment.
    init(_ line: String) {
        let bytes = line.utf8
        var index = bytes.startIndex
        var isText = false
        while index < bytes.endIndex {
            let next = bytes.index(after: index)
            switch bytes[index] {
            case UInt8(ascii: "\\") where isText && next < bytes.endIndex: index = next
            case UInt8(ascii: "\""): isText.toggle()
            case UInt8(ascii: "/") where !isText && next < bytes.endIndex && bytes[next] == UInt8(ascii: "/"):
                code = line[..<index]
                comment = line[bytes.index(after: next)...]
                return
            default: break
            }
            index = bytes.index(after: index)
        }
        code = line[...]
        comment = line[line.endIndex...]
    }
}

extension StringProtocol {
    /// Runs of letters of ASCII, digits and underscores.
    var words: [Substring] {
        Substring(self).utf8.split { !($0.isWordByte) }.map { Substring($0) }
    }
}

extension UInt8 {
    fileprivate var isWordByte: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// Where something is declared, and under which name.
struct Declaration {
    let file: String
    let line: Int
    let keyword: String
    let name: String
    /// It stands at the beginning of its line: it is nested in nothing.
    let isOutermost: Bool
}

/// Every word of the repository's code, and every declaration. Read once.
struct CodeWords {
    /// These tests name what they look for, and so use nothing.
    static let repository = CodeWords(Repository.files.filter { !$0.isUnder("Tests/ArchitectureTests") })

    /// How often a word stands in Swift, comments left out.
    private var counts: [Substring: Int] = [:]
    /// Words of whatever else is no document: scripts, tests in Python, settings.
    private var others: Set<Substring> = []
    private(set) var declarations: [Declaration] = []
    /// Comments of Swift, each with its place.
    private(set) var comments: [(file: String, line: Int, text: Substring)] = []

    static let types: Set = ["class", "struct", "enum", "actor", "protocol", "typealias"]
    private static let keywords = types.union(["func", "var", "let", "extension"])

    init(_ files: [SourceFile]) {
        for file in files where file.isSwift { read(file) }
        for file in files where !file.isSwift && !file.path.hasSuffix(".md") {
            for line in file.lines { others.formUnion(line.words) }
        }
    }

    private mutating func read(_ file: SourceFile) {
        for (index, text) in file.lines.enumerated() {
            let line = CodeLine(text)
            if !line.comment.isEmpty { comments.append((file.path, index + 1, line.comment)) }
            let words = line.code.words
            for word in words { counts[word, default: 0] += 1 }
            for (place, word) in words.enumerated().dropLast() where Self.keywords.contains(String(word)) {
                guard words[place + 1].first?.isLetter == true else { continue }
                declarations.append(
                    Declaration(
                        file: file.path, line: index + 1, keyword: String(word), name: String(words[place + 1]),
                        isOutermost: text.first?.isWhitespace == false))
            }
        }
    }

    func count(of word: some StringProtocol) -> Int { counts[Substring(word)] ?? 0 }

    /// Whether the word stands anywhere but in comments and documents.
    func has(_ word: some StringProtocol) -> Bool { count(of: word) > 0 || isElsewhere(word) }

    func isElsewhere(_ word: some StringProtocol) -> Bool { others.contains(Substring(word)) }
}
