import Testing

/// House style, as far as a machine can hold it.
@Suite struct TidyTests {
    private static let longest = 400

    private func expectAbsent(_ word: String, in files: [SourceFile], because reason: String) {
        for file in files {
            for (number, line) in file.lines.enumerated() where line.code.has(word: word) {
                Issue.record("\(file.path):\(number + 1): \(word): \(reason)")
            }
        }
    }

    @Test(arguments: [
        ("try!", "throw or handle it"), ("as!", "bytes from outside never trap"),
        ("fatalError", "bytes from outside never trap; a mistake of ours is a precondition"),
        ("Task.sleep", "wait for what happens, or take a timer of the loop"), ("print", "say it through Log, or on purpose"),
    ])
    func shippedCodeIsWithout(_ word: String, _ reason: String) {
        // A command-line tool prints on purpose.
        let files = Repository.shipped.filter {
            word != "print" || $0.isUnder("Shared") || $0.path.contains("Service/Library/")
        }
        expectAbsent(word, in: files, because: reason)
    }

    @Test func filesAreShort() {
        for file in Repository.files where [".swift", ".py", ".sh", ".js"].contains(where: file.path.hasSuffix) {
            #expect(file.lines.count <= Self.longest + 1, "\(file.path) has \(file.lines.count) lines; one file, one idea")
        }
    }

    @Test func linesEndClean() {
        for file in Repository.swift {
            for (number, line) in file.lines.enumerated() {
                #expect(line.last?.isWhitespace != true, "\(file.path):\(number + 1) ends in white space")
                #expect(!line.contains("\t"), "\(file.path):\(number + 1) holds a tab")
            }
        }
    }

    @Test func nothingIsLeftForLater() {
        let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
        for file in Repository.files {
            for (number, line) in file.lines.enumerated() {
                for mark in marks where line.has(word: mark) { Issue.record("\(file.path):\(number + 1): \(mark)") }
            }
        }
    }

    @Test func typesHaveNamesOfTheField() {
        let words = ["Manager", "Helper", "Util", "Utils"]
        for file in Repository.swift {
            for (number, line) in file.lines.enumerated() {
                let parts = line.code.split(separator: " ").map(String.init)
                guard let index = parts.firstIndex(where: { ["class", "struct", "enum", "actor", "protocol"].contains($0) }),
                    index + 1 < parts.count
                else { continue }
                let name = parts[index + 1].prefix { $0.isLetter || $0.isNumber }
                #expect(!words.contains { name.hasSuffix($0) }, "\(file.path):\(number + 1): \(name) says nothing")
            }
        }
    }

    /// Every promise that the compiler does not check says why it holds, on its line or next to it.
    @Test func promisesHaveReasons() {
        for file in Repository.shipped {
            for (number, line) in file.lines.enumerated() {
                let promise = ["@unchecked Sendable", "nonisolated(unsafe)", "Unmanaged.pass", "unsafeDowncast", "unsafeBitCast"]
                    .first { line.code.contains($0) }
                guard let promise else { continue }
                let near = file.lines[max(0, number - 3)...min(file.lines.count - 1, number + 2)]
                #expect(near.contains { $0.contains("//") }, "\(file.path):\(number + 1): \(promise) without a reason beside it")
            }
        }
    }

    /// Nothing names the machine that it was written on.
    @Test func noPathOfAMachine() {
        let folders = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"]
        for file in Repository.files {
            for (number, line) in file.lines.enumerated() {
                for folder in folders where line.contains(folder) { Issue.record("\(file.path):\(number + 1): \(folder)") }
            }
        }
    }
}
