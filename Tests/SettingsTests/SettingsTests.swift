import Foundation
import Testing

@testable import Settings

/// The columns' widths are what the longest name makes them.
private func withSingleBlanks(_ text: String) -> String { text.split(separator: " ").joined(separator: " ") }

private func complaint<Value>(_ setting: Setting<Value>, _ text: String) -> String? {
    do {
        _ = try Environment([setting.name: text]).value(setting)
        return nil
    } catch {
        return error.description
    }
}

@Suite struct SettingsTests {
    let window = Setting("WINDOW", .duration(.seconds(1) ... .seconds(7 * 86400)), default: "15m", help: "a window")

    @Test(arguments: [("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("12h", 43_200_000), ("7d", 604_800_000)])
    func durations(_ text: String, _ milliseconds: Int) {
        #expect(parseDuration(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "5", "s", "-5s", "+5s", "1.5s", "5 s", "5S", "99999999999999999999d", "9223372036854775807d", "٣s"])
    func durationsThatAreNone(_ text: String) { #expect(parseDuration(text) == nil) }

    @Test(arguments: [("512B", 512), ("64KB", 65536), ("1MB", 1 << 20), ("2GB", 2 << 30)])
    func sizes(_ text: String, _ bytes: Int) { #expect(parseSize(text) == bytes) }

    @Test(arguments: ["64", "64kb", "KB", "-1KB", "9999999999999GB"])
    func sizesThatAreNone(_ text: String) { #expect(parseSize(text) == nil) }

    @Test func defaultHoldsWhereUnsetOrEmpty() throws {
        #expect(try Environment([:]).value(window) == .seconds(900))
        #expect(try Environment(["WINDOW": ""]).value(window) == .seconds(900))
        #expect(try Environment(["WINDOW": "2s"]).value(window) == .seconds(2))
    }

    @Test func complaintNamesVariableValueAndForm() {
        #expect(
            complaint(window, "soon")
                == "WINDOW: \"soon\" is not a valid value, expected a duration (500ms, 30s, 15m, 12h, 7d) from 1s to 7d")
        #expect(complaint(window, "8d") != nil)
        #expect(complaint(window, "a\nb\u{1b}[1m") == complaint(window, "a?b?[1m"))
    }

    @Test func secretIsNotShown() {
        #expect(complaint(Common.tokenSecret, "hush")?.contains("hush") == false)
        #expect(complaint(Common.redisURL, "http://user:hush@host")?.contains("hush") == false)
    }

    @Test func missingWithoutDefault() throws {
        #expect(throws: SettingsError.self) { try Environment([:]).value(Common.apiKey) }
        #expect(try Environment([:]).optional(Common.apiKey) == nil)
    }

    @Test(arguments: ["127.0.0.1:1", "host:65535", "[::1]:9092"])
    func hostsAndPorts(_ text: String) { #expect(HostPort(text)?.description == text) }

    @Test(arguments: ["", ":1", "host", "host:", "host:0", "host:65536", "::1:5", "[::1", "[::1]x", "a/b:1", "a b:1"])
    func notHostsAndPorts(_ text: String) { #expect(HostPort(text) == nil) }

    @Test func urls() throws {
        let url = try #require(ServiceURL("rediss://al%40ce:p%3Aw@host:7000/2", ports: ["rediss": 6379]))
        #expect(url.user == "al@ce" && url.password == "p:w" && url.host == "host" && url.port == 7000)
        #expect(url.path == "/2" && url.description == "rediss://host:7000/2")
        #expect(ServiceURL("redis://:pw@[::1]", ports: ["redis": 6379])?.password == "pw")
        for text in ["", "redis", "redis:/h", "http://h", "redis://", "redis://h:x", "redis://%zz@h", "redis://h/?a"] {
            #expect(ServiceURL(text, ports: ["redis": 6379]) == nil, "\(text)")
        }
    }

    @Test func brokersAndProperties() throws {
        let settings = try KafkaServerSettings(
            Environment([
                "KAFKA_BROKERS": "a:1, b", "KAFKA_MOCK": "true",
                "KAFKA_PROPERTIES": "security.protocol=SASL_SSL,sasl.password=a,b=c;debug=topic,msg",
            ]))
        #expect(settings.brokers == [HostPort(host: "a", port: 1), HostPort(host: "b", port: 9092)])
        #expect(settings.mock)
        #expect(settings.properties.map(\.name) == ["security.protocol", "sasl.password", "debug"])
        #expect(settings.properties.map(\.value) == ["SASL_SSL", "a,b=c", "topic,msg"])
        #expect(complaint(Common.kafkaProperties, "novalue") != nil)
        #expect(complaint(Common.kafkaBrokers, "a:1,,b:2") != nil)
    }

    @Test func wellKnownCredentialsNeedDemo() throws {
        let token = ["TOKEN_SECRET": TokenSettings.demoSecret]
        let key = ["API_KEY": APIKeySettings.demoKey]
        #expect(throws: SettingsError.self) { try TokenSettings(Environment(token)) }
        #expect(throws: SettingsError.self) { try APIKeySettings(Environment(key)) }
        #expect(try TokenSettings(Environment(token.merging(["DEMO": "true"]) { $1 })).secret == TokenSettings.demoSecret)
        #expect(try APIKeySettings(Environment(key.merging(["DEMO": "true"]) { $1 })).key == APIKeySettings.demoKey)
        #expect(throws: SettingsError.self) { try TokenSettings(Environment(["TOKEN_SECRET": "too short"])) }
    }

    @Test func secretsComeFromFiles() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: file) }
        let value = String(repeating: "s", count: 40)
        func read(_ text: String, _ more: [String: String] = [:]) throws -> String? {
            try Data(text.utf8).write(to: file)
            return try TokenSettings(Environment(["TOKEN_SECRET_FILE": file.path].merging(more) { $1 })).secret
        }
        for end in ["", "\n", "\r\n", "\n\n"] { #expect(try read(value + end) == value) }
        #expect(try read(" \(value)\n") == " " + value)
        #expect(try read(value, ["TOKEN_SECRET": ""]) == value)
        func complaint(_ text: String, _ more: [String: String] = [:]) -> String? {
            do {
                _ = try read(text, more)
                return nil
            } catch { return (error as? SettingsError)?.description }
        }
        #expect(complaint(value, ["TOKEN_SECRET": value]) == "TOKEN_SECRET and TOKEN_SECRET_FILE are both set: unset one of the two")
        #expect(complaint("\n")?.hasSuffix("is empty") == true)
        #expect(complaint(value, ["TOKEN_SECRET_FILE": "/proc/nothing"])?.hasSuffix("cannot be read: No such file or directory") == true)
        #expect(complaint(String(repeating: "x", count: SecretFile.longest + 1))?.hasSuffix("is longer than 65536 bytes") == true)
        let short = try #require(complaint("hush"))
        #expect(short.hasPrefix("TOKEN_SECRET_FILE: its value (not shown: a secret)") && !short.contains("hush"))
        // The well-known one is refused from a file as well.
        #expect(complaint(TokenSettings.demoSecret)?.contains("well-known demo value") == true)
    }

    /// Every secret, by declaration: with its file's variable in the lists, and read from there.
    @Test func everySecretMayStandInAFile() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("rediss://user:word@host/1\n".utf8).write(to: file)
        #expect(try RedisSettings(Environment(["REDIS_URL_FILE": file.path])).url.password == "word")
        try Data("security.protocol=SASL_SSL\nsasl.password=a,b\n".utf8).write(to: file)
        let properties = try KafkaServerSettings(Environment(["KAFKA_PROPERTIES_FILE": file.path])).properties
        #expect(properties.map(\.name) == ["security.protocol", "sasl.password"])
        let declarations =
            RedisSettings.declarations + KafkaServerSettings.declarations + TokenSettings.declarations + APIKeySettings.declarations
        let help = SettingsText.help(declarations)
        for secret in declarations where secret.secret { #expect(help.contains("  \(secret.name)_FILE ")) }
        #expect(SettingsText.declarations(SettingsText.lines(declarations)).contains { $0.name == "API_KEY_FILE" })
    }

    @Test func listsMarkWhatIsRequiredAndWhatIsSecret() {
        let help = withSingleBlanks(SettingsText.help(TokenSettings.declarations + APIKeySettings.declarations))
        #expect(help.contains("API_KEY required What producers send as X-API-Key (secret). "), "\(help)")
        #expect(help.contains(" TOKEN_SECRET required unless JWKS_FILE Key of"))
        let page = SettingsText.markdown([
            ("gateway", APIKeySettings.declarations.map(\.optional)), ("presence-service", APIKeySettings.declarations),
        ])
        #expect(page.contains("| `API_KEY` | required by presence-service | text of 16 bytes or more |"))
        let lines = SettingsText.lines(TokenSettings.declarations)
        #expect(SettingsText.lines(SettingsText.declarations(lines)) == lines && lines.contains("\tsecret\tunless JWKS_FILE\n"))
    }

    @Test func operationsAreForThisMachineByDefault() throws {
        let settings = try ProcessSettings(Environment([:]))
        #expect(settings.operationsAddress == "127.0.0.1" && settings.listenAddress == "0.0.0.0")
        #expect(settings.logFormat == .logfmt && !settings.logsAddresses)
    }

    @Test func aKeyFileStandsInForTheSecret() throws {
        let settings = try TokenSettings(Environment(["JWKS_FILE": "/etc/keys.json"]))
        #expect(settings.secret == nil && settings.keyFile == "/etc/keys.json")
        #expect(throws: SettingsError.self) { try TokenSettings(Environment([:])) }
        #expect(throws: SettingsError.self) { try TokenSettings(Environment(["JWKS_FILE": "/x", "TOKEN_SECRET": "short"])) }
    }

    @Test func noTokenOutlivesItsRevocation() throws {
        func lifetime(_ values: [String: String]) -> Duration? {
            let environment = Environment(values.merging(["TOKEN_SECRET": String(repeating: "s", count: 32)]) { $1 })
            return try? TokenSettings(environment).maximumLifetime
        }
        #expect(lifetime([:]) == .seconds(86_400))
        #expect(lifetime(["REVOCATION_LIFETIME": "7d"]) == .seconds(86_400))
        #expect(lifetime(["REVOCATION_LIFETIME": "1h"]) == .seconds(3600))
        #expect(lifetime(["TOKEN_MAX_LIFETIME": "15m"]) == .seconds(900))
        #expect(lifetime(["TOKEN_MAX_LIFETIME": "7d", "REVOCATION_LIFETIME": "7d"]) == .seconds(604_800))
        #expect(lifetime(["TOKEN_MAX_LIFETIME": "25h"]) == nil)
        #expect(lifetime(["TOKEN_MAX_LIFETIME": "2h", "REVOCATION_LIFETIME": "1h"]) == nil)
        #expect(lifetime(["TOKEN_MAX_LIFETIME": "1s"]) == nil)
    }

    @Test func originsAreExact() throws {
        func origins(_ text: String) -> [String]? { try? ProcessSettings(Environment(["ALLOWED_ORIGINS": text])).allowedOrigins }
        #expect(origins("https://a.example, http://b.example:8080") == ["https://a.example", "http://b.example:8080"])
        #expect(origins("capacitor://localhost,https://[::1]:8443") == ["capacitor://localhost", "https://[::1]:8443"])
        for text in [
            "*", "null", "a.example", "https://", "https://a.example/", "https://a.example:443", "http://a.example:80",
            "https://*.example", "https://A.example", "https://a.example,*", "https://a b", "://a", "https://a:0",
        ] { #expect(origins(text) == nil, "\(text)") }
        #expect(origins("") == [])
    }

    @Test func processSettingsHaveDefaults() throws {
        let settings = try ProcessSettings(Environment([:]))
        #expect(settings.namespace == "" && !settings.instanceID.isEmpty && settings.logLevel == .info && !settings.demo)
        #expect(LogLevel.debug < .warning)
    }

    @Test func lists() {
        let help = withSingleBlanks(SettingsText.help(ProcessSettings.declarations + TokenSettings.declarations))
        #expect(help.split(separator: "\n").count == 18)
        #expect(
            help.contains(
                " LOG_LEVEL info Least severity that is logged. One of debug, info, warning, error.\n"))
        let page = SettingsText.markdown([
            ("gateway", ProcessSettings.declarations + TokenSettings.declarations), ("other", ProcessSettings.declarations),
        ])
        #expect(
            page.contains("| `LOG_LEVEL` | `info` | one of debug, info, warning, error | Least severity that is logged | all |"))
        #expect(page.contains("## gateway\n") && !page.contains("## other\n") && page.contains("(secret)"))
    }
}
