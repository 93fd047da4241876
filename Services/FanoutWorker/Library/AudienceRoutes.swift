import HTTP
import Models
import ServiceRuntime
import Store

/// `/v1/audiences/{id}/members`: who belongs to a channel, or follows a person. For producers and operators.
struct AudienceRoutes {
    /// Members of one page, if the request does not say how many.
    static let defaultLimit = 100

    private let audiences: Audiences

    init(_ audiences: Audiences) { self.audiences = audiences }

    func add(to router: RESTRouter) {
        let audiences = audiences
        router.on("PUT", "/v1/audiences/{id}/members", .apiKey) { call in
            guard let (audience, members) = Self.change(call) else { return }
            audiences.add(members, to: audience) { Self.answer(call, count: $0) }
        }
        router.on("DELETE", "/v1/audiences/{id}/members", .apiKey) { call in
            guard let (audience, members) = Self.change(call) else { return }
            audiences.remove(members, from: audience) { Self.answer(call, count: $0) }
        }
        router.on("GET", "/v1/audiences/{id}/members", .apiKey) { call in
            guard let (audience, after, limit) = Self.page(call) else { return }
            audiences.members(of: audience, after: after, limit: limit) { Self.answer(call, $0) }
        }
    }

    // MARK: Requests

    /// `channel:<channel>` or `followers:<person>`, in its stored form. Answers the call itself, and nil, if the id is wrong.
    private static func audience(_ call: RESTCall) -> String? {
        if let audience = audience(call.parameters.first ?? "") { return audience }
        call.refuse("The audience must be channel:<channel> or followers:<person>, percent-encoded.")
        return nil
    }

    static func audience(_ text: String) -> String? {
        // Split by bytes: for `String`, a colon and a combining mark behind it are one character.
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        if parts.count == 2 {
            if parts[0] == "channel", let channel = ChannelID(parts[1]) { return Audience.channel(channel).listID }
            if parts[0] == "followers", let person = PersonID(parts[1]) { return Audience.followersOf(person).listID }
        }
        return nil
    }

    private static func change(_ call: RESTCall) -> (audience: String, members: [PersonID])? {
        guard let audience = audience(call) else { return nil }
        guard let members = members(call.request.body) else {
            call.refuse("The body must be {\"members\":[…]} with at most \(Audiences.maximumMembers) ids of people.")
            return nil
        }
        return (audience, members)
    }

    /// Reads `{"members":[…]}`. Nil if the body is anything else.
    static func members(_ body: [UInt8]) -> [PersonID]? {
        let bytes = body.span
        var at = 0
        guard let members = try? read(bytes, &at), (try? JSON.end(bytes, &at)) != nil else { return nil }
        return members
    }

    private static func read(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> [PersonID]? {
        var fields = try JSONMembers(bytes, &at)
        var members: [PersonID]?
        while let name = try fields.next(bytes, &at) {
            guard JSONKey(bytes, name) == .members else {
                _ = try JSON.value(bytes, &at)
                continue
            }
            var elements = try JSONElements(bytes, &at)
            var found: [PersonID] = []
            while try elements.next(bytes, &at) {
                let text = JSON.text(bytes, try JSON.string(bytes, &at))
                guard let person = PersonID(text), found.count < Audiences.maximumMembers else { return nil }
                found.append(person)
            }
            members = found
        }
        return members
    }

    private static func page(_ call: RESTCall) -> (audience: String, after: PersonID?, limit: Int)? {
        guard let audience = audience(call) else { return nil }
        var limit = defaultLimit
        if let text = call.request.query("limit") {
            guard let number = Int(text), (1...Audiences.maximumMembers).contains(number) else {
                call.respond(
                    .problem(
                        status: 400, name: "invalid_limit",
                        detail: "limit must be a whole number from 1 to \(Audiences.maximumMembers)."))
                return nil
            }
            limit = number
        }
        guard let text = call.request.query("after"), !text.isEmpty else { return (audience, nil, limit) }
        guard let after = PersonID(text) else {
            call.refuse("after must be what the last page gave as next.")
            return nil
        }
        return (audience, after, limit)
    }

    // MARK: Answers

    private static func answer(_ call: RESTCall, count: Result<Int, StoreError>) {
        switch count {
        case .success(let count): call.respond(.json("{\"count\":\(count)}"))
        case .failure: call.unavailable("The members cannot be changed at present.")
        }
    }

    private static func answer(_ call: RESTCall, _ page: Result<MemberPage, StoreError>) {
        guard case .success(let page) = page else { return call.unavailable("The members cannot be read at present.") }
        var writer = JSONWriter(capacity: 32 + 16 * page.members.count)
        writer.raw("{\"members\":[")
        for (index, member) in page.members.enumerated() {
            if index > 0 { writer.byte(UInt8(ascii: ",")) }
            writer.string(member.text)
        }
        writer.raw("],\"next\":")
        if let last = page.members.last, !page.isLast { writer.string(last.text) } else { writer.raw("null") }
        writer.byte(UInt8(ascii: "}"))
        call.respond(.json(writer.take()))
    }
}

extension JSONKey {
    fileprivate static let members = JSONKey("members")
}
