import Testing

@testable import ServiceRuntime

@Suite struct RouteTableTests {
    private func table() -> RouteTable<String> {
        var table = RouteTable<String>()
        table.add("GET", "/v1/audiences/{id}/members", "list")
        table.add("PUT", "/v1/audiences/{id}/members", "add")
        table.add("GET", "/v1/presence", "presence")
        return table
    }

    private func describe(_ match: RouteTable<String>.Match) -> String {
        switch match {
        case .found(let target, let parameters): ([target] + parameters).joined(separator: " ")
        case .methodNotAllowed(let allowed): "allowed: \(allowed)"
        case .notFound: "not found"
        }
    }

    @Test(arguments: [
        ("GET", ["v1", "audiences", "channel:general", "members"], "list channel:general"),
        ("PUT", ["v1", "audiences", "a/b", "members"], "add a/b"), ("HEAD", ["v1", "presence"], "presence"),
        ("POST", ["v1", "presence"], "allowed: GET"),
        ("DELETE", ["v1", "audiences", "x", "members"], "allowed: GET, PUT"),
        ("GET", ["v1", "audiences", "", "members"], "not found"), ("GET", [], "not found"),
        ("GET", ["v1", "presence", "x"], "not found"),
    ])
    func matches(_ method: String, _ segments: [String], _ expected: String) {
        #expect(describe(table().match(method, segments)) == expected)
    }
}

@Suite struct CommandLineTests {
    @Test func helpListsEveryVariable() {
        let help = ServiceRuntime.help(SampleService.self)
        #expect(help.hasPrefix("Counts ticks.\n\nUsage: sample "))
        for name in ["SAMPLE_TICKS", "DRAIN_TIMEOUT", "OPERATIONS_PORT", "LOG_LEVEL", "API_KEY"] {
            #expect(help.contains("  \(name) "), "\(name)")
        }
    }

    @Test func declarationsAreLinesOfSixFields() {
        let lines = ServiceRuntime.declarations(SampleService.self).split(separator: "\n")
        #expect(lines.count >= 8)
        #expect(lines.allSatisfy { $0.split(separator: "\t", omittingEmptySubsequences: false).count == 6 })
        #expect(lines.contains { $0.hasPrefix("API_KEY\t\t") && $0.hasSuffix("\tsecret\trequired") })
    }
}
