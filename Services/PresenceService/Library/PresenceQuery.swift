import HTTP
import Models

/// `GET /v1/presence?user=a&user=b`: who is asked for, and the answer.
struct PresenceQuery {
    /// In the order asked; one who is asked for twice is answered twice.
    let people: [PersonID]

    /// Why a query is refused, in words for the client; nothing that was sent is repeated.
    struct Refusal: Error, Equatable {
        let detail: String
    }

    init(_ request: HTTPRequest, maximum: Int) throws(Refusal) {
        var people: [PersonID] = []
        for (name, value) in request.query where name == "user" {
            guard people.count < maximum else { throw Refusal(detail: "More than \(maximum) users are asked for.") }
            guard let person = PersonID(value) else { throw Refusal(detail: "A user is not the id of a person.") }
            people.append(person)
        }
        if people.isEmpty { throw Refusal(detail: "The query names no user.") }
        self.people = people
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
