internal import Foundation

/// `cluster.env`, which a local cluster leaves for scripts in its folder (`LOCAL_DIRECTORY`, else `.local`): it fills in what the environment
/// does not say.
enum ClusterFile {
    static let path = ".local/cluster.env"

    /// The variables of the cluster in `directory`; a relative one is looked for from `folder` upwards. Empty where there is none.
    static func nearest(from folder: String, directory: String? = nil) -> [String: String] {
        let path = directory.map { $0 + "/cluster.env" } ?? path
        if path.hasPrefix("/") { return (try? String(contentsOfFile: path, encoding: .utf8)).map(read) ?? [:] }
        var place = URL(filePath: folder)
        for _ in 0..<64 {
            if let text = try? String(contentsOf: place.appending(path: path), encoding: .utf8) { return read(text) }
            let parent = place.deletingLastPathComponent()
            if parent.path == place.path { break }
            place = parent
        }
        return [:]
    }

    /// What is given, and what the file has beside it. A secret that is given by its file is not taken from here as well.
    static func filling(_ given: [String: String], with file: [String: String]) -> [String: String] {
        file.filter { name, _ in given[name] == nil && given[name + "_FILE"] == nil }.merging(given) { $1 }
    }

    /// `NAME='value'` lines. Lists stand there with blanks between, as a shell likes them; a setting takes commas.
    static func read(_ text: String) -> [String: String] {
        var values: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, !parts[0].hasPrefix("#") else { continue }
            values[String(parts[0])] = unquoted(parts[1])
        }
        if let brokers = values["KAFKA_BROKERS"] {
            values["KAFKA_BROKERS"] = brokers.split(separator: " ").joined(separator: ",")
        }
        return values
    }

    /// A shell's word: single quotes, and a backslash outside of them.
    private static func unquoted(_ word: Substring) -> String {
        var value = ""
        var isQuoted = false
        var rest = word
        while let character = rest.popFirst() {
            switch character {
            case "'": isQuoted.toggle()
            case "\\" where !isQuoted: value.append(rest.popFirst() ?? "\\")
            default: value.append(character)
            }
        }
        return value
    }
}
