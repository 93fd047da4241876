public import Models
public import Redis
internal import Tokens

/// A device that pushes go to.
public struct Device: Equatable, Sendable {
    public var token: String
    public var platform: String
    public var app: String
    public var environment: String
    /// When it was registered last, by Redis's clock, ms since 1970.
    public var registeredAt: Int64

    public init(token: String, platform: String, app: String, environment: String, registeredAt: Int64 = 0) {
        self.token = token
        self.platform = platform
        self.app = app
        self.environment = environment
        self.registeredAt = registeredAt
    }

    /// The form of a token under which a device is known. Tokens of APNs are hexadecimal, and mean the same in upper and lower
    /// case: their form is lower case. Every other token is its own form.
    public static func canonical(token: String) -> String {
        token.utf8.allSatisfy(isHexadecimal) ? token.lowercased() : token
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
        default: false
        }
    }
}

/// A device, and whether a notification was pushed to it before.
public struct PushTarget: Equatable, Sendable {
    public var device: Device
    public var isSent: Bool
}

/// People's device tokens, and what was pushed to them. A token belongs to one person at a time: the person who registered it last.
/// Confined to its client's loop.
///
/// Person and token are on different shards, so no script can change both. `device:<token hash>` names the owner, and is
/// written before the person's own row. A reader of the rows believes the owner. So a push for one person never reaches a
/// device that another person has taken over, and a step that a crash leaves out does no harm.
public struct Devices {
    let client: RedisClient
    let keys: Keyspace
    /// For so long it is remembered what was pushed, in ms.
    let window: Int64

    /// - Parameter window: `DEDUP_WINDOW` in ms.
    public init(_ client: RedisClient, _ keys: Keyspace, window: Int64 = InboxLimits().dedupWindow) {
        self.client = client
        self.keys = keys
        self.window = window
    }

    // MARK: Registering

    /// Registers a device, or registers it again, and takes it from the person who had it. If the person then has more than
    /// `limit` devices, those go that were registered longest ago, because they are the least likely to be in use. Answers how
    /// many went. May be repeated after any error.
    public func put(
        _ device: Device, of person: PersonID, limit: Int, reply: @escaping (Result<Int, StoreError>) -> Void
    ) {
        var device = device
        device.token = Device.canonical(token: device.token)
        owner(of: device.token) { [device] previous in
            switch previous {
            case .failure(let error): reply(.failure(error))
            case .success(let previous?) where previous != person:
                // The former owner's row goes first. A repeated call would not know the former owner any more.
                self.remove(device.token, from: previous) { result in
                    if case .failure(let error) = result { return reply(.failure(error)) }
                    self.store(device, person, limit, reply)
                }
            case .success: self.store(device, person, limit, reply)
            }
        }
    }

    private func store(
        _ device: Device, _ person: PersonID, _ limit: Int, _ reply: @escaping (Result<Int, StoreError>) -> Void
    ) {
        own(device.token, person, unlessOwned: false) { result in
            if case .failure(let error) = result { return reply(.failure(error)) }
            self.client.eval(
                Self.putScript, arguments: 4,
                { writer in
                    self.keys.write("devices:", self.keys.tag(person), to: &writer)
                    writer.argument(device.token)
                    writer.argument("\(device.platform)|\(device.environment)|\(device.app)")
                    writer.argument(Int64(limit))
                },
                { result in
                    switch result.decoded("put", { $0.array.flatMap { $0.count == 2 ? $0.map(\.texts) : nil } }) {
                    case .failure(let error): reply(.failure(error))
                    case .success(let removed):
                        self.disown(removed[0] + removed[1], person) { reply($0.map { removed[0].count }) }
                    }
                })
        }
    }

    // MARK: Reading

    /// A person's devices, in no order.
    public func list(of person: PersonID, reply: @escaping (Result<[Device], StoreError>) -> Void) {
        targets(of: person, for: nil) { reply($0.map { $0.map(\.device) }) }
    }

    /// A person's devices, in no order, and to which of them this notification was pushed before, as far as is known.
    public func targets(
        of person: PersonID, for id: NotificationID?, reply: @escaping (Result<[PushTarget], StoreError>) -> Void
    ) {
        let tag = keys.tag(person)
        client.eval(
            Self.targetsScript, arguments: 4,
            { writer in
                keys.write("devices:", tag, to: &writer)
                keys.write("sent:", tag, ":", to: &writer)
                writer.argument(window)
                writer.argument(id?.bytes ?? [])
            },
            { result in
                switch result.decoded("targets", PushTarget.targets) {
                case .failure(let error): reply(.failure(error))
                case .success(let targets): self.settle(targets, of: person, for: id, reply)
                }
            })
    }

    /// Leaves out the devices that another person has taken over. Before that, it gives rows of earlier versions the present form.
    private func settle(
        _ targets: [PushTarget], of person: PersonID, for id: NotificationID?,
        _ reply: @escaping (Result<[PushTarget], StoreError>) -> Void
    ) {
        guard !targets.isEmpty else { return reply(.success([])) }
        let old = targets.map(\.device.token).filter { $0 != Device.canonical(token: $0) }
        if !old.isEmpty {
            let gathering = Gathering<Void>(count: old.count) { all in
                if case .failure(let error) = all { return reply(.failure(error)) }
                self.targets(of: person, for: id, reply: reply)
            }
            for (index, token) in old.enumerated() { merge(token, of: person) { gathering.take($0, at: index) } }
            return
        }
        let gathering = Gathering<PersonID?>(count: targets.count) { owners in
            reply(owners.map { owners in zip(targets, owners).filter { $1 == person }.map(\.0) })
        }
        for (index, target) in targets.enumerated() { owner(of: target.device.token) { gathering.take($0, at: index) } }
    }

    /// Gives the row of an earlier version the present form of its token, if the person still owns the device. Otherwise it
    /// removes the row. May be repeated wherever it was interrupted.
    private func merge(_ token: String, of person: PersonID, _ reply: @escaping (Result<Void, StoreError>) -> Void) {
        let canonical = Device.canonical(token: token)
        let gathering = Gathering<PersonID?>(count: 2) { owners in
            switch owners {
            case .failure(let error): reply(.failure(error))
            case .success(let owners) where (owners[0] ?? owners[1]) == person:
                self.own(canonical, person, unlessOwned: true) { result in
                    if case .failure(let error) = result { return reply(.failure(error)) }
                    self.moveRow(token, to: canonical, of: person, reply)
                }
            // Nobody owns it, or another person.
            case .success: self.moveRow(token, to: nil, of: person, reply)
            }
        }
        owner(of: canonical) { gathering.take($0, at: 0) }
        owner(of: token) { gathering.take($0, at: 1) }
    }

    private func moveRow(
        _ token: String, to canonical: String?, of person: PersonID, _ reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        client.eval(
            Self.moveScript, arguments: 3,
            { writer in
                keys.write("devices:", keys.tag(person), to: &writer)
                writer.argument(token)
                writer.argument(canonical ?? "")
            },
            { result in
                if case .failure(let error) = result.done { return reply(.failure(error)) }
                self.disown([token], person, reply)
            })
    }

    // MARK: Removing

    /// Removes a person's device, if the person has it. May be repeated.
    public func delete(_ token: String, of person: PersonID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        let token = Device.canonical(token: token)
        disown([token], person) { result in
            if case .failure(let error) = result { return reply(.failure(error)) }
            self.remove(token, from: person, reply)
        }
    }

    /// Removes a device of which the provider says that it is gone, unless it was registered after `timestamp` (ms since 1970).
    /// Answers whether the person does not have it any more.
    public func delete(
        _ token: String, of person: PersonID, unlessNewerThan timestamp: Int64, reply: @escaping (Result<Bool, StoreError>) -> Void
    ) {
        client.eval(
            Self.deleteOlderScript, arguments: 3,
            { writer in
                keys.write("devices:", keys.tag(person), to: &writer)
                writer.argument(token)
                writer.argument(timestamp)
            },
            { result in
                switch result.decoded("delete", { $0.integer }) {
                case .failure(let error): reply(.failure(error))
                case .success(0): reply(.success(false))
                case .success: self.disown([token], person) { reply($0.map { true }) }
                }
            })
    }

    /// The rows of a token, in its present form and in all others.
    private func remove(_ token: String, from person: PersonID, _ reply: @escaping (Result<Void, StoreError>) -> Void) {
        client.eval(
            Self.removeScript, arguments: 2,
            { writer in
                keys.write("devices:", keys.tag(person), to: &writer)
                writer.argument(token)
            },
            { result in
                switch result.decoded("removeDevice", { $0.array == nil ? nil : $0.texts }) {
                case .failure(let error): reply(.failure(error))
                case .success(let removed): self.disown(removed.filter { $0 != token }, person, reply)
                }
            })
    }

    // MARK: What was pushed

    /// Remembers for at least `window` ms that the provider has accepted a notification for a device.
    public func remember(
        _ id: NotificationID, sentTo token: String, of person: PersonID, reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        client.eval(
            Self.sentScript, arguments: 4,
            { writer in
                keys.write("sent:", keys.tag(person), ":", to: &writer)
                writer.argument(window)
                writer.argument(id.bytes)
                writer.argument(token)
            },
            { reply($0.done) })
    }

    // MARK: Owners

    private func owner(of token: String, _ reply: @escaping (Result<PersonID?, StoreError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument("GET" as StaticString)
                writeOwner(token, to: &writer)
            },
            { reply($0.decoded("GET device") { .some($0.text.flatMap { PersonID($0) }) }) })
    }

    private func own(
        _ token: String, _ person: PersonID, unlessOwned: Bool, _ reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        client.send(
            arguments: unlessOwned ? 4 : 3,
            { writer in
                writer.argument("SET" as StaticString)
                writeOwner(token, to: &writer)
                writer.argument(person.text)
                if unlessOwned { writer.argument("NX" as StaticString) }
            },
            { reply($0.done) })
    }

    /// Gives up those of the tokens that the person owns. They belong to nobody afterwards.
    private func disown(_ tokens: [String], _ person: PersonID, _ reply: @escaping (Result<Void, StoreError>) -> Void) {
        guard !tokens.isEmpty else { return reply(.success(())) }
        let gathering = Gathering<Void>(count: tokens.count) { all in reply(all.map { _ in }) }
        for (index, token) in tokens.enumerated() {
            client.eval(
                Self.disownScript, arguments: 2,
                { writer in
                    writeOwner(token, to: &writer)
                    writer.argument(person.text)
                },
                { gathering.take($0.done, at: index) })
        }
    }

    /// `device:<token hash>`. The hash is SHA-256, because a provider's tokens may have any length and form.
    private func writeOwner(_ token: String, to writer: inout RESPWriter) {
        keys.write("device:", bytes(hexadecimal(sha256(bytes(token)))), to: &writer)
    }
}
