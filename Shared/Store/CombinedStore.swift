public import Models

/// The calls that touch a person's inbox and her routes. Redis makes each of them one step (`Inbox`), because both lie in one
/// slot. Two stores that know nothing of each other make them two steps (`ApartStore`); callers see no difference, but for the
/// time that it takes (decision 0029). `CombinedStoreContract` in the tests runs both forms.
///
/// What both promise: of a delivery and a registration that meet, at least one sees the other. Either the delivery is answered
/// with the route, or the registration's page has the entry, or both; then the session drops the second copy by its offset.
public protocol CombinedStore {
    /// Appends as `InboxStore.append` does, and answers besides which routes the person has once all of it is appended.
    func deliver(_ deliveries: [Delivery], to person: PersonID, reply: @escaping (Result<Delivered, StoreError>) -> Void)

    /// Sets the connection's route as `RouteRegistry.add` does, and answers the page that `InboxStore.open` finds once the
    /// route stands. After a failure the route may stand: the caller removes it.
    func register(
        _ connection: ConnectionID, of person: PersonID, device: String, transport: Transport, from start: InboxStart,
        limit: Int, bytes: Int, reply: @escaping (Result<InboxPage, StoreError>) -> Void)

    /// Changes marks as `InboxStore.mark` does, and answers besides which routes the person has once that is done.
    func change(_ change: InboxChange, of person: PersonID, reply: @escaping (Result<Marked, StoreError>) -> Void)
}

/// The calls in two steps, for an inbox and a registry that are two stores.
///
/// The order of the steps closes the gap between them. A delivery appends, and then reads the routes. A registration sets
/// the route, and then reads the page. So a delivery that did not see the route had appended before the route was set, and
/// the page was read after that: the entry is in it. A hint that overtakes the page finds the session reading; the session
/// keeps the hint's offset, compares it with the page's top, and reads on where the page ends below.
public struct ApartStore: CombinedStore {
    private let inbox: any InboxStore
    private let routes: any RouteRegistry

    public init(inbox: any InboxStore, routes: any RouteRegistry) {
        self.inbox = inbox
        self.routes = routes
    }

    public func deliver(
        _ deliveries: [Delivery], to person: PersonID, reply: @escaping (Result<Delivered, StoreError>) -> Void
    ) {
        inbox.append(deliveries, to: person) { result in
            switch result {
            case .failure(let error): reply(.failure(error))
            case .success(let appended):
                self.routes.routes(of: person) { routes in
                    reply(
                        routes.map { routes in
                            Delivered(epoch: appended.epoch, unread: appended.unread, routes: routes, entries: appended.entries)
                        })
                }
            }
        }
    }

    public func register(
        _ connection: ConnectionID, of person: PersonID, device: String, transport: Transport, from start: InboxStart,
        limit: Int, bytes: Int, reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        routes.add(connection, of: person, device: device, transport: transport) { result in
            switch result {
            case .failure(let error): reply(.failure(error))
            case .success: self.inbox.open(person, from: start, limit: limit, bytes: bytes, reply: reply)
            }
        }
    }

    public func change(
        _ change: InboxChange, of person: PersonID, reply: @escaping (Result<Marked, StoreError>) -> Void
    ) {
        inbox.mark(change, of: person) { result in
            switch result {
            case .failure(let error): reply(.failure(error))
            case .success(let counts):
                self.routes.routes(of: person) { reply($0.map { Marked(counts: counts, routes: $0) }) }
            }
        }
    }
}
