import Foundation
import Testing

/// Names lead somewhere: those in documents and comments to what exists, a file's to a type, a declaration's to a use.
@Suite struct NamesTests {
    private static let words = CodeWords.repository
    private static let shippedDeclarations = words.declarations.filter {
        $0.file.hasPrefix("Services/") || $0.file.hasPrefix("Shared/")
    }

    // MARK: Names in backticks

    /// Names of libraries, of protocols and of the machine that measures, which no code of ours needs to say.
    private static let foreign: Set = ["OffsetFetch", "raw.c", "load.c", "rdkafka.h"]

    /// What stands in backticks and looks like a type, a member, a call or a file is there. The changelog tells of what was.
    @Test func namesInDocumentsAndCommentsExist() {
        let documents = Repository.markdown.filter { $0.path != "CHANGELOG.md" }
        for file in documents {
            for (index, line) in file.lines.enumerated() { check(line, file.path, index + 1) }
        }
        for comment in Self.words.comments { check(String(comment.text), comment.file, comment.line) }
    }

    private func check(_ text: String, _ file: String, _ line: Int) {
        // Text outside and inside of backticks alternates.
        for (index, part) in text.split(separator: "`", omittingEmptySubsequences: false).enumerated() where index % 2 == 1 {
            guard !Self.foreign.contains(String(part)), let missing = Self.missing(part) else { continue }
            Issue.record("\(file):\(line): `\(part)`: there is no \(missing)")
        }
    }

    /// What of a name does not exist; nil where all does, or where it is no name that a machine can judge.
    private static func missing(_ name: Substring) -> String? {
        if isFile(name) { return exists(name) ? nil : "file \(name)" }
        let head = name.prefix { $0 != "(" }
        let parts = head.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ isIdentifier($0) }), let first = parts.first else { return nil }
        let isTest = first.hasPrefix("test_") && parts.count == 2
        guard isTest || first.first?.isUppercase == true && first.contains(where: \.isLowercase) else { return nil }
        if isTest, !exists(first + ".py") { return "file \(first).py" }
        return (isTest ? parts.dropFirst() : parts[...]).first { !words.has($0) }.map { "\($0)" }
    }

    private static func isIdentifier(_ text: Substring) -> Bool {
        guard let first = text.first, first.isASCII, first.isLetter || first == "_" else { return false }
        return text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    }

    private static let endings = ["swift", "py", "lua", "md", "cfg", "yml", "yaml", "json", "js", "html", "c", "h", "sh"]

    private static func isFile(_ text: Substring) -> Bool {
        guard let dot = text.lastIndex(of: "."), dot > text.startIndex, endings.contains(String(text[text.index(after: dot)...])) else {
            return false
        }
        return text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_+-./".contains($0)) }
    }

    private static let paths = Repository.files.map { "/" + $0.path } + ["/SECURITY.md", "/.local/cluster.env"]

    /// A file of that name, or of that path from some folder on.
    private static func exists(_ path: Substring) -> Bool {
        paths.contains { $0.hasSuffix("/" + path) } || Repository.exists(String(path))
    }

    /// A law is cited by its name (docs/laws.md), for its number tells a reader nothing.
    @Test func lawsAreCitedByName() {
        for file in Repository.files where !file.isUnder("Tests/ArchitectureTests") {
            for (index, line) in file.lines.enumerated() where line.utf8.count > 4 && line.contains("aw ") {
                let words = line.words
                for (word, next) in zip(words, words.dropFirst()) where word.lowercased() == "law" && next.allSatisfy(\.isNumber) {
                    Issue.record("\(file.path):\(index + 1): law \(next) has a name")
                }
            }
        }
    }

    // MARK: Names of files

    /// Files that hold functions, none of which is named as they are.
    private static let functions: Set = [
        "BrokerExamination", "Doctor", "EnvironmentCommand", "PolicyTopics", "ProduceCommand", "TokenCommand", "DeadLetterCommands",
        "InboxAuditCommand", "RedisRestoredCommand", "RevokeCommand", "TailCommand", "Address", "Connect", "Digests",
        "FetchAhead", "MessageReader", "SHA1", "TokenMint",
    ]
    /// Files that hold several small types of one kind, and are named for the kind.
    private static let families: Set = [
        "ChannelSweep", "CommonSettings", "Endpoints", "InboxScripts", "InboxStates", "Instruments", "KafkaConfiguration",
        "KafkaProperties", "ProviderToken",
    ]

    /// A file is named for a type, or a function, that it declares; `A+B` adds something to A; one that only extends is named for what
    /// it adds.
    @Test func filesAreNamedForWhatTheyHold() {
        let types = Set(Self.words.declarations.filter { CodeWords.types.contains($0.keyword) }.map(\.name))
        let outermost = Dictionary(grouping: Self.shippedDeclarations.filter(\.isOutermost), by: \.file)
        var unused = Self.functions.union(Self.families)
        for file in Repository.shipped where file.isSwift {
            let name = String(file.path.split(separator: "/").last?.dropLast(6) ?? "")
            let parts = name.split(separator: "+").map(String.init)
            let own = outermost[file.path] ?? []
            let ownTypes = Set(own.filter { CodeWords.types.contains($0.keyword) }.map(\.name))
            if parts.count == 2, types.contains(parts[0]) { continue }
            // In the singular or the plural.
            if ownTypes.contains(name) || name.hasSuffix("s") && ownTypes.contains(String(name.dropLast())) { continue }
            if own.allSatisfy({ $0.keyword == "extension" }) { continue }
            let function = name.prefix(1).lowercased() + name.dropFirst()
            if own.contains(where: { $0.keyword == "func" && $0.name == function }) { continue }
            #expect(unused.contains(name), "\(file.path) declares no \(name)")
            unused.remove(name)
        }
        #expect(unused.isEmpty, "these need no exception: \(unused.sorted())")
    }

    // MARK: Dead declarations

    /// Swift itself asks for these, and nobody else calls them.
    private static let required: Set = ["Main", "checkIsolated", "isIsolatingCurrentContext", "unownedExecutor"]

    /// What services and shared modules declare is used somewhere, if only in a test: its name stands in code more often than it is
    /// declared.
    @Test func declarationsAreUsed() {
        let declared = Self.words.declarations.filter { $0.keyword != "extension" }.reduce(into: [:]) { $0[$1.name, default: 0] += 1 }
        for declaration in Self.shippedDeclarations where declaration.keyword != "extension" {
            let name = declaration.name
            guard !Self.required.contains(name), !Self.words.isElsewhere(name) else { continue }
            #expect(
                Self.words.count(of: name) > declared[name] ?? 0,
                "\(declaration.file):\(declaration.line): \(declaration.keyword) \(name) is used nowhere")
        }
    }

    // MARK: Decision records

    /// Every record stands in the index, has the one form, and tells its date and its status.
    @Test func decisionRecordsHaveOneForm() throws {
        let index = try #require(Repository.markdown.first { $0.path == "docs/decisions/README.md" }).lines.joined(separator: "\n")
        let records = Repository.markdown.filter { $0.isUnder("docs/decisions") && !$0.path.hasSuffix("README.md") }
        #expect(records.count >= 26)
        for record in records {
            let name = String(record.path.split(separator: "/").last ?? "")
            let lines = record.lines
            #expect(index.contains("](\(name)) | "), "docs/decisions/README.md does not name \(name)")
            #expect(lines[0].hasPrefix("# \(name.prefix(4)): "), "\(record.path): the title begins with the number")
            #expect(lines.contains { $0.hasPrefix("- Date: 20") }, "\(record.path) has no date")
            #expect(lines.contains { $0.hasPrefix("- Status: ") }, "\(record.path) has no status")
            let headings = lines.filter { $0.hasPrefix("## ") }
            #expect(headings == ["## Context", "## Decision", "## Consequences"], "\(record.path): \(headings)")
        }
    }
}
