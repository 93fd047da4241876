/// The edge's list of servers, from `deploy/edge/backends.cfg.template`.
enum EdgeServers {
    /// A server line of HAProxy: its name and `host:port`.
    struct Server: Equatable {
        var name: String
        var address: String
    }

    /// Replaces each line `@SERVERS backend@` by the backend's servers, and `@TRACKED backend@` by the same ones, which
    /// take their health from it; a backend that has none leaves nothing.
    static func render(_ template: String, servers: [String: [Server]]) -> String {
        var lines: [Substring] = []
        for line in template.split(separator: "\n", omittingEmptySubsequences: false) {
            let word = line.drop { $0 == " " || $0 == "\t" }
            let indent = line[..<word.startIndex]
            if let backend = name(in: word, after: "@SERVERS ") {
                lines += (servers[backend] ?? []).map { "\(indent)server \($0.name) \($0.address) check" }
            } else if let backend = name(in: word, after: "@TRACKED ") {
                lines += (servers[backend] ?? []).map { "\(indent)server \($0.name) \($0.address) track \(backend)/\($0.name)" }
            } else {
                lines.append(line)
            }
        }
        return lines.joined(separator: "\n")
    }

    private static func name(in word: Substring, after mark: String) -> String? {
        guard word.hasPrefix(mark), word.hasSuffix("@"), word.count > mark.count + 1 else { return nil }
        return String(word.dropFirst(mark.count).dropLast())
    }
}

extension ClusterPlan {
    /// The servers of every backend of the edge.
    var edgeServers: [String: [EdgeServers.Server]] {
        var servers = ["apns": [EdgeServers.Server(name: "apns", address: "\(Self.host):\(apnsPlainPort)")]]
        for instance in instances {
            servers[instance.service.rawValue, default: []]
                .append(EdgeServers.Server(name: instance.name, address: "\(Self.host):\(instance.port)"))
        }
        return servers
    }
}
