internal import Models
internal import Settings

/// What the doctor shows at the door: the same that producers, operators and people do.
struct DoctorCredentials: Sendable {
    /// Whose token it is, and whose inbox an event is sent to.
    static let person = "carillon-doctor"

    /// Nil where there is no TOKEN_SECRET to sign one with.
    let token: String?
    /// Nil where there is no API_KEY.
    let key: String?

    init(_ settings: ControlSettings) throws(ControlError) {
        let canMint = try settings.optional(Common.tokenSecret) != nil
        token = canMint ? try mintToken(person: Self.person, expires: "2m", settings: settings) : nil
        key = try settings.optional(Common.apiKey)
    }

    var areWhole: Bool { token != nil && key != nil }
}
