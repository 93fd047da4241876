internal import Kafka
internal import Settings
internal import Store

/// What the tool reads. Each command asks for what it needs, so a missing secret hinders only who signs with it.
struct ControlSettings: Sendable {
    static let edgeURL = Setting(
        "EDGE_URL", .url(["http": 80, "https": 443]), default: "http://127.0.0.1:8080", help: "Where the edge is reached")
    static let policies = Setting(
        "POLICIES", .path, default: "deploy/policies.yaml",
        help: "The policies' file that doctor checks, and in which produce looks for topics")

    static let dedupWindow = Setting(
        InboxLimits.markDeclarations[0].name, .duration(.seconds(60) ... .seconds(365 * 86_400)), default: "7d",
        help: InboxLimits.markDeclarations[0].help)

    static let declarations =
        [
            edgeURL.description, dedupWindow.description, policies.description, Common.namespace.description,
            Common.tokenSecret.description.optional,
            Common.tokenIssuer.description, Common.tokenAudience.description, Common.tokenMaxLifetime.description,
            Common.apiKey.description.optional, Common.localDirectory.description,
        ] + KafkaServerSettings.declarations + RedisSettings.declarations

    let environment: Environment

    private func reading<Value>(_ body: () throws(SettingsError) -> Value) throws(ControlError) -> Value {
        do { return try body() } catch { throw ControlError(error.description, status: Status.configuration) }
    }

    func value<Value>(_ setting: Setting<Value>) throws(ControlError) -> Value {
        try reading { () throws(SettingsError) in try environment.value(setting) }
    }

    func optional<Value>(_ setting: Setting<Value>) throws(ControlError) -> Value? {
        try reading { () throws(SettingsError) in try environment.optional(setting) }
    }

    func namespace() throws(ControlError) -> String { try optional(Common.namespace) ?? "" }

    func kafka() throws(ControlError) -> KafkaSettings {
        let server = try reading { () throws(SettingsError) in try KafkaServerSettings(environment) }
        return KafkaSettings(
            brokers: server.brokers.map(\.description).joined(separator: ","), properties: server.properties,
            isMock: server.mock, namespace: try namespace(), instanceID: "carillonctl")
    }

    func store() throws(ControlError) -> StorePlace {
        let settings = try reading { () throws(SettingsError) in try RedisSettings(environment) }
        return StorePlace(settings: settings, namespace: try namespace())
    }

    /// The secret that signs development tokens.
    func tokenSecret() throws(ControlError) -> String {
        if let secret = try optional(Common.tokenSecret) { return secret }
        throw ControlError(
            "TOKEN_SECRET is not set, and it signs the tokens",
            remedy: "set it to the services' own, or run this beside the .local folder that `make run` writes",
            status: Status.configuration)
    }
}
