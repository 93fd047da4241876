import Foundation
import Testing

@Suite struct DocumentsTests {
    /// Links inside the repository lead to a file, and to a heading or anchor in it.
    @Test func linksResolve() {
        for file in Repository.markdown {
            for (number, target) in Self.links(file) {
                let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let path = parts[0].isEmpty ? file.path : Self.resolve(parts[0], from: file.path)
                // Written from the services' declarations once all of them stand.
                if path == "deploy/env.md" { continue }
                guard Repository.exists(path) else {
                    Issue.record("\(file.path):\(number): no file \(path)")
                    continue
                }
                guard parts.count == 2, let linked = Repository.markdown.first(where: { $0.path == path }) else { continue }
                #expect(Self.anchors(linked).contains(parts[1]), "\(file.path):\(number): no anchor #\(parts[1]) in \(path)")
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
            if line.trimmingCharacters(in: .whitespaces).hasPrefix("```") { isCode.toggle() } else if !isCode {
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
