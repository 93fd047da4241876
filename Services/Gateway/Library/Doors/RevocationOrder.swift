import Models

/// What the body of `POST /v1/revocations` asks for.
enum RevocationOrder: Equatable {
    /// `expires` is in seconds since 1970; nil if it was not given.
    case token(String, expires: Int64?)
    case person(PersonID, before: Int64?)

    enum Fault: String, Error {
        case notJSON = "The body is not a JSON object."
        case neither = "The body names either a jti, text of 1 to 255 bytes, or a person."
        case badTime = "expires and before are whole seconds since 1970."
        case milliseconds = "expires or before is in milliseconds; it must be in seconds."
    }

    static func read(_ bytes: Span<UInt8>) -> Result<RevocationOrder, Fault> {
        do throws(JSONError) {
            return try parse(bytes)
        } catch {
            if case .unexpected = error { return .failure(.neither) }
            return .failure(.notJSON)
        }
    }

    private static func parse(_ bytes: Span<UInt8>) throws(JSONError) -> Result<RevocationOrder, Fault> {
        var at = 0
        var (id, person): (String?, String?)
        var (expires, before): (Int64?, Int64?)
        var members = try JSONMembers(bytes, &at)
        while let name = try members.present(bytes, &at) {
            switch JSON.text(bytes, name) {
            case "jti": id = JSON.text(bytes, try JSON.string(bytes, &at))
            case "person": person = JSON.text(bytes, try JSON.string(bytes, &at))
            case "expires": expires = try JSON.integer(bytes, &at)
            case "before": before = try JSON.integer(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        try JSON.end(bytes, &at)
        for time in [expires, before] where !(0...UInt32.limit).contains(time ?? 0) {
            return .failure((time ?? 0) / 1000 > 0 && (time ?? 0) / 1000 <= UInt32.limit ? .milliseconds : .badTime)
        }
        switch (id, person) {
        case (let id?, nil):
            return (1...255).contains(id.utf8.count) ? .success(.token(id, expires: expires)) : .failure(.neither)
        case (nil, let person?):
            return PersonID(person).map { .success(.person($0, before: before)) } ?? .failure(.neither)
        default: return .failure(.neither)
        }
    }
}

extension UInt32 {
    /// The last second since 1970 that fits into 32 bits, in 2106.
    static let limit = Int64(UInt32.max)
}
