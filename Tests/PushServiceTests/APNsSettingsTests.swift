import Settings
import Store
import Testing

@testable import PushService

/// Which devices are served, where, and as what.
@Suite struct APNsSettingsTests {
    private func apns(_ values: [String: String] = [:]) throws -> APNsSettings {
        try PushSettings(Environment(values.merging(["TOKEN_SECRET": String(repeating: "s", count: 32)]) { $1 })).apns
    }

    private func device(_ environment: String = "production", app: String = "") -> Device {
        Device(token: "a", platform: "apns", app: app, environment: environment)
    }

    @Test func applesHostsServeTheirOwnEnvironment() throws {
        let apns = try apns()
        #expect(apns.url(for: device()) == "https://api.push.apple.com:443")
        for name in ["sandbox", "development"] {
            #expect(apns.url(for: device(name)) == "https://api.sandbox.push.apple.com:443")
            #expect(apns.refusal(of: device(name)) == nil)
        }
    }

    @Test func anInstallationOfTheSandboxRefusesProduction() throws {
        let apns = try apns(["APNS_URL": "https://api.sandbox.push.apple.com"])
        #expect(apns.environments == [.sandbox])
        #expect(apns.refusal(of: device("sandbox")) == nil)
        #expect(apns.refusal(of: device()) == "environment must be sandbox: no other is served here.")
        // One that is registered already goes where it went.
        #expect(apns.url(for: device()) == apns.url(for: device("sandbox")))
    }

    @Test func aStandInServesBothUnlessTheSandboxHasAnAddress() throws {
        let one = try apns(["APNS_URL": "https://h:1"])
        #expect(one.url(for: device()) == "https://h:1" && one.url(for: device("sandbox")) == "https://h:1")
        let two = try apns(["APNS_URL": "https://h:1", "APNS_SANDBOX_URL": "https://h:2"])
        #expect(two.url(for: device()) == "https://h:1" && two.url(for: device("sandbox")) == "https://h:2")
        #expect(throws: SettingsError.self) { _ = try self.apns(["APNS_SANDBOX_URL": "http://h:2"]) }
    }

    @Test func eachAppHasItsTopic() throws {
        let apns = try apns(["APNS_TOPIC": "app.one, app.two"])
        #expect(apns.topic(for: device()) == "app.one" && apns.topic(for: device(app: "app.two")) == "app.two")
        #expect(apns.refusal(of: device(app: "app.two")) == nil && apns.refusal(of: device()) == nil)
        #expect(apns.refusal(of: device(app: "app.three")) == "app must be app.one or app.two: no other is served here.")
        // Registered when nobody looked at it.
        #expect(apns.topic(for: device(app: "app.three")) == "app.one")
        #expect(try self.apns().refusal(of: device(app: "any")) == nil)
    }

    /// The Kelvin sign is canonically equivalent to the letter K. An app's id is bytes, and another's is another app.
    @Test func anAppThatOnlyLooksTheSameIsAnother() throws {
        let apns = try apns(["APNS_TOPIC": "app.first, app.KELVIN"])
        let lookalike = device(app: "app.\u{212A}ELVIN")
        #expect(lookalike.app == "app.KELVIN")
        #expect(apns.refusal(of: lookalike) != nil && apns.topic(for: lookalike) == "app.first")
    }
}
