import Testing

/// No test holds a thread of Swift's cooperative pool: it has as many as the machine has cores, and all tests share them.
@Suite struct BlockingTests {
    /// What holds a thread, or turns in circles on it.
    private static let waits = [
        "usleep", "nanosleep", "sleep(", "Thread.sleep", "Task.yield", "DispatchSemaphore", "DispatchGroup", "NSCondition",
        "waitUntilExit", "readDataToEndOfFile", "waitpid", "poll(&", "recv(",
    ]
    /// What of the product waits on the thread that calls it.
    private static let blockingProduct: Set = ["KafkaInspector", "EmbeddedBroker", "ThreadSemaphore"]

    private static func waits(_ line: String) -> Bool {
        let code = String(CodeLine(line).code).replacing("Task.sleep(", with: "")
        return waits.contains { code.has(word: $0) } && !code.contains("MSG_DONTWAIT")
    }

    /// `TestSupport` alone waits, in what the other check knows.
    @Test func onlyTestSupportWaits() {
        for file in Repository.swift
        where file.isUnder("Tests") && !file.isUnder("Tests/TestSupport") && !file.isUnder("Tests/ArchitectureTests") {
            for (number, line) in file.lines.enumerated() where Self.waits(line) {
                Issue.record("\(file.path):\(number + 1) holds a thread: await Task.sleep, or holdThread in a .blocking suite")
            }
        }
    }

    /// A suite that uses what waits, or what uses that, is `.blocking`.
    @Test func suitesThatWaitSaySo() {
        let support = Self.pieces(of: Repository.swift.filter { $0.isUnder("Tests/TestSupport") })
        let waiting = support.filter { $0.lines.contains(where: Self.waits) }.map(\.name)
        let names = Self.closure(of: Self.blockingProduct.union(waiting), over: support)
        #expect(names.isSuperset(of: ["RedisServer", "KafkaBroker", "MockBroker", "RawSocket", "Child", "holdThread"]))
        for module in Set(Repository.swift.compactMap(\.testModule)) {
            let pieces = Self.pieces(of: Repository.swift.filter { $0.testModule == module })
            let blocking = Self.closure(of: names, over: pieces)
            for piece in pieces where piece.isSuite && blocking.contains(piece.name) && !piece.attributes.contains(".blocking") {
                Issue.record("\(piece.file): \(piece.name) waits on its thread: @Suite(.blocking)")
            }
        }
    }

    /// What a file declares, nested in nothing.
    private struct Piece {
        let file: String
        let name: String
        let isExtension: Bool
        /// What stands before its keyword, and on the line of its attribute.
        let attributes: String
        var lines: [String]
        var words: Set<Substring>

        var isSuite: Bool { attributes.contains("@Suite") }
    }

    private static let keywords = CodeWords.types.union(["func", "let", "var", "extension"])

    private static func pieces(of files: [SourceFile]) -> [Piece] {
        var pieces: [Piece] = []
        for file in files {
            let first = pieces.count
            for (number, line) in file.lines.enumerated() {
                let words = CodeLine(line).code.words
                if let start = words.firstIndex(where: { keywords.contains(String($0)) }), start + 1 < words.count,
                    line.first?.isWhitespace == false, line.first != "}", !words.contains("import")
                {
                    let attribute = number > 0 && file.lines[number - 1].hasPrefix("@") ? file.lines[number - 1] : ""
                    pieces.append(
                        Piece(
                            file: file.path, name: String(words[start + 1]), isExtension: words[start] == "extension",
                            attributes: attribute + line, lines: [], words: []))
                }
                guard pieces.count > first else { continue }
                pieces[pieces.count - 1].lines.append(line)
                pieces[pieces.count - 1].words.formUnion(words)
            }
        }
        return pieces
    }

    /// The names, and those of all that is declared here and uses one of them.
    private static func closure(of names: Set<String>, over pieces: [Piece]) -> Set<String> {
        let declared = Set(pieces.filter { !$0.isExtension }.map(\.name))
        var names = names
        while true {
            let found = pieces.filter { declared.contains($0.name) && $0.words.contains { names.contains(String($0)) } }
            let more = names.union(found.map(\.name))
            if more == names { return names }
            names = more
        }
    }
}

extension SourceFile {
    /// `GatewayTests` of `Tests/GatewayTests/PollTests.swift`; these tests themselves are none.
    fileprivate var testModule: Substring? {
        let parts = path.split(separator: "/")
        guard parts.count > 2, parts[0] == "Tests", parts[1].hasSuffix("Tests"), parts[1] != "ArchitectureTests" else { return nil }
        return parts[1]
    }
}
