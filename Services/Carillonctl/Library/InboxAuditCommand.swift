internal import EventLoop
internal import Models
internal import Store

let inboxAuditCommand = Command(
    "inbox audit", summary: "Count inboxes again from their streams, and compare with what is stored",
    details: """
        One line for each thing that does not agree: the unread count, marks that mark nothing, the floor, positions behind
        the last offset. It changes nothing, and each inbox is looked at in one step, so it may run at any time; one step
        reads one whole inbox. Status 0 if all agree, else 1.
        """,
    options: [
        Option("user", "ID", "this person's inbox"),
        Option("all", nil, "everybody's, found by SCAN"),
    ]
) { invocation in
    let options = invocation.options
    let user = options["user"]
    guard (user == nil) == options.has("all") else { throw ControlError.usage("either --user or --all is needed") }
    var person: PersonID?
    if let user {
        person = PersonID(user)
        if person == nil { throw ControlError.usage("\(printable(user)) is no person's id") }
    }
    let place = try invocation.settings.store()
    let loop = EventLoop(name: "carillonctl")
    loop.start()
    let auditor = InboxAuditor(loop: loop, place)
    return try await auditor.run(person, invocation.terminal)
}

/// Audits inboxes one after another.
actor InboxAuditor: LoopActor {
    nonisolated let loop: EventLoop
    private let place: StorePlace

    init(loop: EventLoop, _ place: StorePlace) {
        self.loop = loop
        self.place = place
    }

    /// - Parameter person: nil for everybody.
    /// - Returns: what to exit with.
    func run(_ person: PersonID?, _ terminal: Terminal) async throws -> Int32 {
        let store = try await place.open(on: loop)
        defer { store.close() }
        let inbox = store.inbox(InboxLimits())
        var total = Tally()
        if let person {
            try await audit(person, inbox, terminal, &total)
            if total.inboxes == 0 { terminal.note("\(printable(person.text)) has no inbox") }
        } else {
            var cursor = "0"
            repeat {
                let (next, people) = try await ask { inbox.people(from: cursor, reply: $0) }
                for person in people { try await audit(person, inbox, terminal, &total) }
                cursor = next
            } while cursor != "0"
        }
        terminal.note("\(total.inboxes) inboxes, \(total.drifts) drifts")
        return total.drifts == 0 ? Status.done : Status.failed
    }

    private struct Tally {
        var inboxes = 0
        var drifts = 0
    }

    private func audit(
        _ person: PersonID, _ inbox: Inbox, _ terminal: Terminal, _ total: inout Tally
    ) async throws(ControlError) {
        guard let audit = try await ask({ inbox.audit(of: person, reply: $0) }) else { return }
        total.inboxes += 1
        total.drifts += audit.drifts.count
        for drift in audit.drifts { terminal.line("\(printable(person.text))  \(drift)") }
    }
}
