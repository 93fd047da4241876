internal import EventLoop
internal import Models
internal import Redis
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
    let redis = try invocation.settings.redis()
    let loop = EventLoop(name: "carillonctl")
    loop.start()
    let auditor = InboxAuditor(loop: loop, redis.endpoint, redis.limits, redis.keys)
    return try await auditor.run(person, invocation.terminal)
}

/// Audits inboxes one after another.
actor InboxAuditor: LoopActor {
    nonisolated let loop: EventLoop
    private let endpoint: RedisEndpoint
    private let limits: RedisLimits
    private let keys: Keyspace

    init(loop: EventLoop, _ endpoint: RedisEndpoint, _ limits: RedisLimits, _ keys: Keyspace) {
        self.loop = loop
        self.endpoint = endpoint
        self.limits = limits
        self.keys = keys
    }

    /// - Parameter person: nil for everybody.
    /// - Returns: what to exit with.
    func run(_ person: PersonID?, _ terminal: Terminal) async throws -> Int32 {
        let client = RedisClient(
            loop: loop, endpoint: endpoint, limits: limits, scripts: StoreScripts.all, checks: [keys.shardsCheck])
        defer { client.close() }
        try await connect(client)
        let inbox = Inbox(client, keys)
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

    private func connect(_ client: RedisClient) async throws(ControlError) {
        let state = await withCheckedContinuation { (done: CheckedContinuation<RedisState, Never>) in
            var waiting: CheckedContinuation<RedisState, Never>? = done
            client.onState = { state in
                waiting?.resume(returning: state)
                waiting = nil
            }
            client.start()
        }
        switch state {
        case .up: return
        case .down(let reason), .refused(let reason):
            throw ControlError("\(endpoint.host):\(endpoint.port): \(reason)", remedy: "look at REDIS_URL, SHARDS and NAMESPACE")
        }
    }

    private func ask<Value: Sendable>(
        _ send: (@escaping (Result<Value, StoreError>) -> Void) -> Void
    ) async throws(ControlError) -> Value {
        let result = await withCheckedContinuation { done in send { done.resume(returning: $0) } }
        do { return try result.get() } catch { throw ControlError("Redis: \(error)") }
    }
}
