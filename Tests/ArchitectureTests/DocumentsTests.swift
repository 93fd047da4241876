import Foundation
import Testing

@Suite struct DocumentsTests {
    /// Links inside the repository lead to a file, and to a heading or anchor in it.
    @Test func linksResolve() {
        for file in Repository.markdown {
            for (number, target) in Self.links(file) {
                let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let path = parts[0].isEmpty ? file.path : Self.resolve(parts[0], from: file.path)
                guard Repository.exists(path) else {
                    Issue.record("\(file.path):\(number): no file \(path)")
                    continue
                }
                guard parts.count == 2, let linked = Repository.markdown.first(where: { $0.path == path }) else { continue }
                #expect(Self.anchors(linked).contains(parts[1]), "\(file.path):\(number): no anchor #\(parts[1]) in \(path)")
            }
        }
    }

    /// The `type` of every problem that the code answers is an anchor of the protocol's page (RFC 9457 section 3.1.1).
    @Test func problemsAreExplained() throws {
        let protocolPage = try #require(Repository.markdown.first { $0.path == "docs/protocol.md" })
        let explained = Self.anchors(protocolPage)
        let page = try #require(Repository.shipped.first { $0.path == "Shared/HTTP/ProblemPage.swift" }).lines.joined()
        for file in Repository.shipped {
            for (number, line) in file.lines.enumerated() where line.contains("roblem(") || line.contains("HTTPError(") {
                let call = file.lines[number...min(number + 3, file.lines.count - 1)].joined()
                guard let found = call.range(of: "name: \"") else { continue }
                let name = String(call[found.upperBound...].prefix { $0 != "\"" })
                // Not a header's name, where the problem's own is made elsewhere.
                guard name.allSatisfy({ $0.isLowercase || $0 == "_" }) else { continue }
                #expect(explained.contains(name), "\(file.path):\(number + 1): docs/protocol.md does not explain \(name)")
                #expect(page.contains("\"\(name)\", "), "\(file.path):\(number + 1): ProblemPage does not explain \(name)")
            }
        }
    }

    /// A refused event's problem is named as its dead letter would be.
    @Test func reasonsOfDeadLettersAreExplained() throws {
        let protocolPage = try #require(Repository.markdown.first { $0.path == "docs/protocol.md" })
        let explained = Self.anchors(protocolPage)
        let reasons = try #require(Repository.shipped.first { $0.path == "Shared/Models/DeadLetter.swift" }).lines
            .filter { $0.hasPrefix("    case ") }.compactMap { $0.split(separator: "\"").dropFirst().first.map(String.init) }
        #expect(reasons.count == 9)
        for reason in reasons { #expect(explained.contains(reason), "docs/protocol.md does not explain \(reason)") }
    }

    /// What the pages tell an operator to look for is there: metrics in the code, variables in deploy/env.md.
    @Test func metricsAndVariablesOfThePagesExist() throws {
        let variables = try #require(Repository.files.first { $0.path == "deploy/env.md" }).lines.joined()
        let code = Repository.shipped.map { $0.lines.joined() }.joined()
        // Values that look like variables.
        let values: Set = ["SASL_SSL"]
        let pages = [
            "README.md", "docs/ARCHITECTURE.md", "docs/channels.md", "docs/glossary.md", "docs/internals.md", "docs/laws.md",
            "docs/operations.md", "docs/protocol.md", "docs/threat-model.md", "docs/websocket.md",
        ]
        for file in Repository.markdown where pages.contains(file.path) {
            for line in file.lines {
                for word in line.split(whereSeparator: { !($0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")) }) {
                    if word.hasPrefix("carillon_") {
                        // A histogram is asked for by the names of its series.
                        let end = ["_bucket", "_count", "_sum"].first { word.hasSuffix($0) }
                        let names = [word, word.dropLast(end?.count ?? 0)]
                        #expect(
                            names.contains { code.contains("\"\($0)\"") }, "\(file.path): there is no metric \(word)")
                    } else if word.contains("_"), word.allSatisfy({ $0.isUppercase || $0.isNumber || $0 == "_" }), word.first != "_",
                        !values.contains(String(word))
                    {
                        #expect(variables.contains("`\(word)`"), "\(file.path): there is no variable \(word)")
                    }
                }
            }
        }
    }

    /// `](target)` of every line outside of code blocks, but for addresses with a scheme.
    private static func links(_ file: SourceFile) -> [(line: Int, target: String)] {
        var links: [(Int, String)] = []
        for (number, line) in prose(file) {
            var rest = line[...]
            while let open = rest.range(of: "](") {
                rest = rest[open.upperBound...]
                guard let close = rest.firstIndex(of: ")") else { break }
                let target = String(rest[..<close]).split(separator: " ").first.map(String.init) ?? ""
                if !target.isEmpty, !target.contains("://"), !target.hasPrefix("mailto:") { links.append((number, target)) }
            }
        }
        return links
    }

    private static func prose(_ file: SourceFile) -> [(Int, String)] {
        var isCode = false
        var lines: [(Int, String)] = []
        for (number, line) in file.lines.enumerated() {
            if line.trimmingCharacters(in: .whitespaces).hasPrefix("```") {
                isCode.toggle()
            } else if !isCode {
                lines.append((number + 1, line))
            }
        }
        return lines
    }

    private static func resolve(_ path: String, from file: String) -> String {
        if path.hasPrefix("/") { return String(path.dropFirst()) }
        var parts = file.split(separator: "/").dropLast().map(String.init)
        for part in path.split(separator: "/") {
            switch part {
            case ".": break
            case "..": _ = parts.popLast()
            default: parts.append(String(part).removingPercentEncoding ?? String(part))
            }
        }
        return parts.joined(separator: "/")
    }

    /// Headings as they are made into anchors (lower case, blanks to hyphens, punctuation dropped), and `<a id="…">`.
    private static func anchors(_ file: SourceFile) -> Set<String> {
        var anchors: Set<String> = []
        for (_, line) in prose(file) {
            if line.hasPrefix("#") {
                let text = line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
                anchors.insert(
                    String(text.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" })
                        .replacingOccurrences(of: " ", with: "-"))
            }
            for mark in ["<a id=\"", "<a name=\""] {
                var rest = line[...]
                while let open = rest.range(of: mark) {
                    rest = rest[open.upperBound...]
                    anchors.insert(String(rest.prefix { $0 != "\"" }))
                }
            }
        }
        return anchors
    }
}
