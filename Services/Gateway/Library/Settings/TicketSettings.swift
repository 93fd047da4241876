import Settings

/// Tickets of `/v1/connect`.
struct TicketSettings {
    static let lifetimeSetting = Setting(
        "TICKET_LIFETIME", .duration(.seconds(1) ... .seconds(600)), default: "30s",
        help: "How long a ticket of /v1/connect waits for its first use")
    static let publicURLSetting = Setting(
        "PUBLIC_URL", .url(["http": 80, "https": 443]),
        help: "Base of the URLs that /v1/connect answers; unset: the request's own host")

    let lifetime: Duration
    /// Nil: the URLs name the host that was asked.
    let publicURL: ServiceURL?

    init(_ environment: Environment) throws(SettingsError) {
        lifetime = try environment.value(Self.lifetimeSetting)
        publicURL = try environment.optional(Self.publicURLSetting)
    }
}
