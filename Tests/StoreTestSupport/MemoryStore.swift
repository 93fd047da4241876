public import EventLoop
public import Models
public import Store

/// Inboxes and registry in memory, for tests of services without a server. Each call takes effect when it is made, and is
/// answered at the end of the loop's turn. Loop thread only.
public final class MemoryStore {
    /// While it is set, every call fails with it and changes nothing.
    public var failure: StoreError?
    /// Calls that were made.
    public private(set) var calls = 0
    /// Where an instance's numbers of batches begin and end with its lease.
    public let router: MemoryRouter

    let loop: EventLoop
    let shards: Int
    private let limits: InboxLimits
    private var inboxes: [PersonID: MemoryInbox] = [:]
    private var epochs: UInt64 = 1_700_000_000_000
    var routesOf: [PersonID: [ConnectionID: String]] = [:]
    /// -1: condemned.
    var counts: [InstanceID: Int64] = [:]
    var crowds: [ChannelID: MemoryCrowd] = [:]
    var watching: [InstanceID: Set<ChannelID>] = [:]

    public init(loop: EventLoop, shards: Int = 64, limits: InboxLimits = InboxLimits()) {
        self.loop = loop
        router = MemoryRouter(loop: loop)
        self.shards = shards
        self.limits = limits
    }

    /// Answers a call with what `effect` brings, unless the store is to fail.
    func answer<Value>(_ reply: @escaping (Result<Value, StoreError>) -> Void, _ effect: () -> Value) {
        calls += 1
        let result: Result<Value, StoreError> = failure.map { .failure($0) } ?? .success(effect())
        loop.atTurnEnd { reply(result) }
    }

    private func inbox(of person: PersonID) -> MemoryInbox {
        if let inbox = inboxes[person] { return inbox }
        epochs += 1
        return MemoryInbox(epoch: epochs, limits: limits)
    }
}

extension MemoryStore: InboxStore {
    public func append(
        _ deliveries: [Delivery], to person: PersonID, reply: @escaping (Result<Appended, StoreError>) -> Void
    ) {
        precondition((1...Inbox.maximumDeliveries).contains(deliveries.count), "deliveries out of bounds")
        answer(reply) {
            var inbox = inbox(of: person)
            defer { inboxes[person] = inbox }
            return inbox.append(deliveries, at: EventLoop.wallClock())
        }
    }

    public func page(
        of person: PersonID, from start: InboxStart, limit: Int, bytes: Int,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        answer(reply) {
            if let inbox = inboxes[person] { return inbox.page(from: start, limit: limit, bytes: bytes) }
            let recovered = start == .floor || start == .after(StreamPosition(epoch: 0, offset: 0))
            return InboxPage(state: Self.untouched, recovered: recovered, isComplete: true, entries: [])
        }
    }

    public func open(
        _ person: PersonID, from start: InboxStart, limit: Int, bytes: Int,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        answer(reply) {
            let inbox = inbox(of: person)
            inboxes[person] = inbox
            return inbox.page(from: start, limit: limit, bytes: bytes)
        }
    }

    public func newest(
        of person: PersonID, after position: StreamPosition, limit: Int, bytes: Int,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        answer(reply) {
            inboxes[person]?.newest(after: position, limit: limit, bytes: bytes)
                ?? InboxPage(state: Self.untouched, recovered: false, isComplete: true, entries: [])
        }
    }

    public func acknowledge(
        _ selection: InboxSelection, of person: PersonID, reply: @escaping (Result<Acknowledged, StoreError>) -> Void
    ) {
        acknowledge(selection, of: person, sees: false, reply)
    }

    public func see(
        _ selection: InboxSelection, of person: PersonID, reply: @escaping (Result<Acknowledged, StoreError>) -> Void
    ) {
        acknowledge(selection, of: person, sees: true, reply)
    }

    private func acknowledge(
        _ selection: InboxSelection, of person: PersonID, sees: Bool,
        _ reply: @escaping (Result<Acknowledged, StoreError>) -> Void
    ) {
        answer(reply) {
            inboxes[person]?.acknowledge(selection, sees: sees)
                ?? Acknowledged(counts: InboxCounts(unread: 0, revision: 0), offset: 0, accepted: 0, isFirst: false)
        }
    }

    public func mark(
        _ change: InboxChange, of person: PersonID, reply: @escaping (Result<InboxCounts, StoreError>) -> Void
    ) {
        answer(reply) { inboxes[person]?.mark(change) ?? InboxCounts(unread: 0, revision: 0) }
    }

    private static var untouched: InboxState { InboxState(epoch: 0, offset: 0, floor: 1, unread: 0) }
}
