import Centrifuge
import HTTP
import Models
import ServiceRuntime
import Store
import Tokens

/// Who opens an event stream or a poll, and where they begin to read. Both bring a token or a ticket, and mostly a cursor.
struct CursorReader {
    /// Told of the client's position once it is registered. It calls the closure when the client may be answered.
    typealias Begin = (Client, StreamPosition, @escaping () -> Void) -> Void

    let identity: Client.Identity
    /// The cursor that was shown; nil if there is none, or if it is not a cursor.
    let cursor: Cursor?
    /// What tags the cursors that this reader is given; nil without a ticket.
    var key: TagKey?
    /// Marks the ticket with this use; nil without a ticket.
    var onBegin: Begin?

    /// Behind the cursor that was shown; without one, at the present.
    var start: InboxStart { cursor.map { .after($0.position) } ?? .present }
}

extension TicketDesk {
    /// Finds out who opens a stream or a poll, by a token or by a ticket, and calls `body`. Otherwise it answers the request
    /// itself.
    /// - Parameter shown: the cursor as the request has it.
    func identify(
        _ request: HTTPRequest, _ exchange: HTTPExchange, showing shown: String?, _ body: @escaping (CursorReader) -> Void
    ) {
        let cursor = shown.flatMap { Cursor($0) }
        switch gate.credential(request, exchange) {
        case .bearer(let claims)?:
            guard let identity = gate.identity(claims, request) else { return }
            body(CursorReader(identity: identity, cursor: cursor))
        case .ticket(let name)?:
            use(name, showing: shown, request, exchange) { [self] ticket in
                body(
                    CursorReader(identity: ticket.identity, cursor: cursor, key: ticket.key) { [self] client, position, answer in
                        // The ticket is marked before the answer goes, because the next request must find the mark.
                        mark(ticket, client, position) { if $0 { answer() } }
                    })
            }
        case .none?: gate.refuse(request, exchange, .missing, "There is neither a token nor a ticket.")
        case nil: break
        }
    }
}
