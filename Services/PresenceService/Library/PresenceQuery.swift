import HTTP
import Models

/// `GET /v1/presence?user=a&user=b`, or `POST` with `{"users":["a","b"]}` for more than a request line can hold: who is asked
/// for, and the answer.
struct PresenceQuery {
    /// The people in the order asked. One who is asked for twice is answered twice.
    let people: [PersonID]

    /// Why a query is refused. The text is for the client and repeats nothing that was sent.
    struct Refusal: Error, Equatable {
        let detail: String
    }

    /// Bytes that a body may have: `maximum` ids, some of their characters escaped.
    static func bodyLimit(maximum: Int) -> Int { max(HTTPLimits().bodyBytes, 256 * maximum) }

    init(_ request: HTTPRequest, maximum: Int) throws(Refusal) {
        if request.method == "POST" {
            people = try Self.users(request.body.span, maximum)
        } else {
            var people: [PersonID] = []
            for (name, value) in request.query where name == "user" { try Self.add(PersonID(value), to: &people, maximum) }
            self.people = people
        }
        if people.isEmpty { throw Refusal(detail: "No user is asked for.") }
    }

    private static func add(_ person: PersonID?, to people: inout [PersonID], _ maximum: Int) throws(Refusal) {
        guard people.count < maximum else { throw Refusal(detail: "More than \(maximum) users are asked for.") }
        guard let person else { throw Refusal(detail: "A user is not the id of a person.") }
        people.append(person)
    }

    private static func users(_ body: Span<UInt8>, _ maximum: Int) throws(Refusal) -> [PersonID] {
        var people: [PersonID] = []
        do {
            var at = 0
            var members = try JSONMembers(body, &at)
            while let name = try members.present(body, &at) {
                guard JSONKey(body, name) == .users else {
                    _ = try JSON.value(body, &at)
                    continue
                }
                var elements = try JSONElements(body, &at)
                while try elements.next(body, &at) {
                    try add(PersonID(JSON.text(body, try JSON.string(body, &at))), to: &people, maximum)
                }
            }
            try JSON.end(body, &at)
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw Refusal(detail: "The body must be {\"users\":[…]}, a list of ids.")
        }
        return people
    }

    /// - Parameter connections: one for each person, in order.
    func answer(_ connections: [Int]) -> HTTPResponse {
        var writer = JSONWriter(capacity: 64 * people.count + 16)
        writer.raw(#"{"users":["#)
        for (index, (person, count)) in zip(people, connections).enumerated() {
            writer.raw(index == 0 ? #"{"user":"# : #",{"user":"#)
            writer.string(person.text)
            writer.raw(#","online":"#)
            writer.bool(count > 0)
            writer.raw(#","connections":"#)
            writer.integer(Int64(count))
            writer.raw("}")
        }
        writer.raw("]}")
        return .json(writer.take())
    }
}

extension JSONKey {
    static let users = JSONKey("users")
}
