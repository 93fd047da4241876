import Testing

@testable import Carillonctl

@Suite struct RevokeTests {
    private func body(_ words: String...) throws -> String {
        let known = revokeCommand.options
        return String(decoding: try revocationBody(Options(words, known: known)), as: UTF8.self)
    }

    @Test func saysWhatIsRevoked() throws {
        #expect(try body("--user", "acme/bob") == #"{"person":"acme/bob"}"#)
        #expect(try body("--user", "b\"", "--before", "1795000000") == #"{"person":"b\"","before":1795000000}"#)
        #expect(try body("--jti", "t 1") == #"{"jti":"t 1"}"#)
        #expect(try body("--jti", "t", "--expires", "7") == #"{"jti":"t","expires":7}"#)
    }

    @Test(arguments: [
        [], ["--user", "a", "--jti", "b"], ["--user", "a{b"], ["--user", "a", "--before", "soon"], ["--jti", ""],
        ["--user", "a", "--before", "-1"], ["--user", "a", "--expires", "1"], ["--jti", "a", "--before", "1"], ["a"],
    ])
    func usage(_ words: [String]) async {
        let written = Written()
        let status = await Carillonctl.run(["revoke"] + words, environment: [:], folder: "/proc", terminal: written.terminal)
        #expect(status == 64 && written.error.contains("carillonctl revoke --help"))
    }

    @Test func needsTheKeyAndAnEdge() async {
        let keyless = await carillonctl("revoke", "--user", "bob")
        #expect(keyless.status == 78 && keyless.written.error.contains("API_KEY is not set"))
        let alone = await carillonctl(
            "revoke", "--user", "bob", environment: ["API_KEY": "0123456789abcdef", "EDGE_URL": "http://127.0.0.1:1"])
        #expect(alone.status == 1 && alone.written.error.contains("set EDGE_URL"))
        #expect(!alone.written.error.contains("0123456789abcdef"))
    }
}
