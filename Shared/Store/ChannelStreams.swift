internal import EventLoop
public import Models
public import Redis

/// What became of posts to a channel. The same for a repeated call as for the first, but for `isFresh` and what has changed since.
public struct Posted: Equatable, Sendable {
    public var epoch: UInt64
    /// The gateways with watchers at that moment.
    public var watchers: [InstanceID]
    /// One for each post of the call, in its order.
    public var entries: [Delivered.Entry]

    public init(epoch: UInt64, watchers: [InstanceID], entries: [Delivered.Entry]) {
        self.epoch = epoch
        self.watchers = watchers
        self.entries = entries
    }
}

/// One connection that watches a channel, as others see it.
public struct Watcher: Equatable, Sendable {
    public var connection: ConnectionID
    public var person: PersonID
    /// JSON, shown to those who ask who is there.
    public var info: [UInt8]

    public init(connection: ConnectionID, person: PersonID, info: [UInt8]) {
        self.connection = connection
        self.person = person
        self.info = info
    }
}

/// How many of one instance's connections watch a channel, those among them who are told of others coming and going.
public struct WatcherCount: Equatable, Sendable {
    public var watchers: Int
    public var listeners: Int

    public init(watchers: Int, listeners: Int) {
        self.watchers = watchers
        self.listeners = listeners
    }
}

/// Who is to be told that somebody came or went.
public struct Crowd: Equatable, Sendable {
    /// How many of those that the call named came, or went: 0 where it was known before.
    public var changed: Int
    /// Connections that watch the channel now, over all instances.
    public var total: Int
    /// Instances with listeners.
    public var listeners: [InstanceID]

    public init(changed: Int, total: Int, listeners: [InstanceID]) {
        self.changed = changed
        self.total = total
        self.listeners = listeners
    }
}

/// Who watches a channel.
public struct ChannelWatchers: Equatable, Sendable {
    public var clients: Int
    public var people: Int
    /// Connection, as `ConnectionID` writes it, and info. Empty if there are more than were asked for.
    public var watchers: [(connection: [UInt8], info: [UInt8])]

    public init(clients: Int, people: Int, watchers: [(connection: [UInt8], info: [UInt8])]) {
        self.clients = clients
        self.people = people
        self.watchers = watchers
    }

    /// Of what `watchers` says.
    public var bytes: Int { watchers.reduce(0) { $0 + $1.connection.count + $1.info.count } }

    public static func == (left: Self, right: Self) -> Bool {
        left.clients == right.clients && left.people == right.people
            && left.watchers.elementsEqual(right.watchers) { $0 == $1 }
    }
}

/// Channels: one stream each, with offsets as an inbox has them, and who looks at it now. Confined to its client's loop.
public struct ChannelStreams: WatcherRegistry {
    /// Posts, and watchers, in one call at most.
    public static let maximumItems = 500

    let client: RedisClient
    let keys: Keyspace
    let limits: ChannelLimits
    let inbox: InboxLimits
    let witness: Witness

    /// - Parameter inbox: what it knows of what it has seen, it knows as an inbox does.
    public init(
        _ client: RedisClient, _ keys: Keyspace, limits: ChannelLimits = ChannelLimits(), inbox: InboxLimits = InboxLimits(),
        witness: Witness = Witness()
    ) {
        self.client = client
        self.keys = keys
        self.limits = limits
        self.inbox = inbox
        self.witness = witness
    }

    // MARK: Posts

    /// Appends posts, in order, those that the channel has not seen within the dedup window.
    ///
    /// Whole or not at all; may be repeated after any error. At most one call a channel may be under way.
    /// - Parameter posts: 1 to `maximumItems`.
    public func append(
        _ posts: [Delivery], to channel: ChannelID, reply: @escaping (Result<Posted, StoreError>) -> Void
    ) {
        precondition((1...Self.maximumItems).contains(posts.count), "posts out of bounds")
        let tag = bytes(channel.text)
        client.eval(
            Self.appendScript, arguments: 9 + 3 * posts.count,
            { writer in
                keys.write("channel:{", tag, "}", to: &writer)
                keys.write("channel:{", tag, "}:state", to: &writer)
                keys.write("channel:{", tag, "}:watchers", to: &writer)
                keys.write("channel:{", tag, "}:seen:", to: &writer)
                writer.argument(Int64(limits.maxEntries))
                writer.argument(limits.maxAge)
                inbox.writeSeen(atLeast: limits.maxEntries, to: &writer)
                writer.argument(witness.time(at: client.loop.now))
                for post in posts {
                    writer.argument(post.id.bytes)
                    writer.argument(post.accepted)
                    writer.argument(post.bytes, post.range)
                }
            },
            { result in
                witness.heard(result, count: 2 + 2 * posts.count, at: client.loop.now)
                reply(result.decoded("append") { Posted($0, count: posts.count) })
            })
    }

    /// Reads a channel's history from a position; changes nothing. `state.unread` is always 0.
    /// - Parameters:
    ///   - limit: entries at most, 0 for none.
    ///   - bytes: where a page ends early, with the entry that passes it.
    ///   - isReversed: from the newest, or from before the position, backwards; the page is then never continued.
    public func page(
        of channel: ChannelID, from start: InboxStart, limit: Int, bytes size: Int = 1 << 20, isReversed: Bool = false,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        let tag = bytes(channel.text)
        client.eval(
            Self.historyScript, arguments: 8,
            { writer in
                keys.write("channel:{", tag, "}", to: &writer)
                keys.write("channel:{", tag, "}:state", to: &writer)
                start.write(limit: limit, bytes: size, witness, to: &writer)
                writer.argument(isReversed ? 1 : 0)
            },
            { reply($0.decoded("history", InboxPage.init)) })
    }

    // MARK: Watchers

    /// Notes that these connections of one instance watch the channel, and how many do now, and reads the first page in
    /// one, so that nothing can fall between the two. May be repeated. Done when the channel stands in the note of what to
    /// sweep as well: the two are of different slots, and neither waits for the other, so that a removal which is sent behind
    /// the call cannot overtake it. Of a watch that was never answered watchers may stay that no sweep finds; the first post
    /// that their instance does not hear removes them (`clean`).
    /// - Parameters:
    ///   - newcomers: at most `maximumItems`.
    ///   - count: the newcomers among them.
    public func watch(
        _ channel: ChannelID, at instance: InstanceID, _ newcomers: [Watcher], count: WatcherCount, from start: InboxStart,
        limit: Int, bytes size: Int = 1 << 20, reply: @escaping (Result<(InboxPage, Crowd), StoreError>) -> Void
    ) {
        precondition(newcomers.count <= Self.maximumItems, "watchers out of bounds")
        let parts = Gathering<(InboxPage, Crowd)?>(count: 2) { result in
            reply(result.flatMap { parts in parts[1].map { .success($0) } ?? .failure(.fault("unexpected reply to watch")) })
        }
        note("SADD", channel, instance) { parts.take($0.map { nil }, at: 0) }
        let tag = bytes(channel.text)
        client.eval(
            Self.watchScript, arguments: 15 + 2 * newcomers.count,
            { writer in
                keys.write("channel:{", tag, "}", to: &writer)
                keys.write("channel:{", tag, "}:state", to: &writer)
                writeCrowd(tag, instance, to: &writer)
                start.write(limit: limit, bytes: size, witness, to: &writer)
                writer.argument(limits.maxAge)
                write(instance, count, newcomers, to: &writer)
            },
            { result in
                parts.take(
                    result.decoded("watch") { value in
                        guard let parts = value.array, parts.count == 2, let page = InboxPage(parts[0]),
                            let crowd = Crowd(parts[1])
                        else { return nil }
                        return .some((page, crowd))
                    }, at: 1)
            })
    }

    /// Notes that these connections of one instance watch the channel, and how many do now, and reads nothing.
    public func watch(
        _ channel: ChannelID, at instance: InstanceID, _ newcomers: [Watcher], count: WatcherCount,
        reply: @escaping (Result<Crowd, StoreError>) -> Void
    ) {
        precondition(newcomers.count <= Self.maximumItems, "watchers out of bounds")
        let parts = Gathering<Crowd?>(count: 2) { result in
            reply(result.flatMap { parts in parts[1].map { .success($0) } ?? .failure(.fault("unexpected reply to join")) })
        }
        note("SADD", channel, instance) { parts.take($0.map { nil }, at: 0) }
        client.eval(
            Self.joinScript, arguments: 7 + 2 * newcomers.count,
            { writer in
                writeCrowd(bytes(channel.text), instance, to: &writer)
                write(instance, count, newcomers, to: &writer)
            },
            { parts.take($0.decoded("join") { Crowd($0).map { .some($0) } }, at: 1) })
    }

    /// Notes that these connections of one instance watch the channel no more, and how many still do. May be repeated.
    /// After the last one, `forget` may follow.
    public func unwatch(
        _ channel: ChannelID, at instance: InstanceID, _ connections: [ConnectionID], count: WatcherCount,
        reply: @escaping (Result<Crowd, StoreError>) -> Void
    ) {
        precondition(connections.count <= Self.maximumItems, "watchers out of bounds")
        let tag = bytes(channel.text)
        client.eval(
            Self.unwatchScript, arguments: 7 + connections.count,
            { writer in
                writeCrowd(tag, instance, to: &writer)
                write(instance, count, [], to: &writer)
                for connection in connections { writer.argument(connection.description) }
            },
            { reply($0.decoded("unwatch", Crowd.init)) })
    }

    /// Takes a channel that an instance watches no more from the note of what to sweep. Harmless where it is not there.
    public func forget(_ channel: ChannelID, at instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        note("SREM", channel, instance, reply)
    }

    /// Removes the whole note of what to sweep: an instance that has left in order.
    public func forgetAll(at instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument("UNLINK" as StaticString)
                keys.write("watching:{", bytes(instance.text), "}", to: &writer)
            },
            { reply($0.done) })
    }

    private func note(
        _ command: StaticString, _ channel: ChannelID, _ instance: InstanceID,
        _ reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        client.send(
            arguments: 3,
            { writer in
                writer.argument(command)
                keys.write("watching:{", bytes(instance.text), "}", to: &writer)
                writer.argument(channel.text)
            },
            { reply($0.done) })
    }

    /// Who watches the channel; names them only if there are at most `limit`.
    public func presence(of channel: ChannelID, limit: Int, reply: @escaping (Result<ChannelWatchers, StoreError>) -> Void) {
        let tag = bytes(channel.text)
        client.eval(
            Self.presenceScript, arguments: 4,
            { writer in
                keys.write("channel:{", tag, "}:watchers", to: &writer)
                keys.write("channel:{", tag, "}:people", to: &writer)
                keys.write("channel:{", tag, "}:presence:", to: &writer)
                writer.argument(Int64(limit))
            },
            { reply($0.decoded("presence", ChannelWatchers.init)) })
    }

    /// Whether the person is a member of the channel's audience.
    public func isMember(
        _ person: PersonID, of channel: ChannelID, reply: @escaping (Result<Bool, StoreError>) -> Void
    ) {
        client.send(
            arguments: 3,
            { writer in
                writer.argument("ZSCORE" as StaticString)
                keys.write("audience:{channel:", bytes(channel.text), "}", to: &writer)
                writer.argument(person.text)
            },
            { reply($0.decoded("ZSCORE") { !$0.isNull }) })
    }

    /// The four keys of who watches, the last of them this instance's own.
    func writeCrowd(_ tag: [UInt8], _ instance: InstanceID, to writer: inout RESPWriter) {
        keys.write("channel:{", tag, "}:watchers", to: &writer)
        keys.write("channel:{", tag, "}:listeners", to: &writer)
        keys.write("channel:{", tag, "}:people", to: &writer)
        keys.write("channel:{", tag + bytes("}:presence:") + bytes(instance.text), to: &writer)
    }

    private func write(
        _ instance: InstanceID, _ count: WatcherCount, _ newcomers: [Watcher], to writer: inout RESPWriter
    ) {
        writer.argument(instance.text)
        writer.argument(Int64(count.watchers))
        writer.argument(Int64(count.listeners))
        for newcomer in newcomers {
            writer.argument(newcomer.connection.description)
            writer.argument(storedWatcher(newcomer.person, newcomer.info))
        }
    }
}

extension Posted {
    init?(_ value: RedisValue, count: Int) {
        guard let parts = value.array, parts.count >= 2 + 2 * count, let epoch = parts[0].unsigned,
            let watchers = parts[1].array
        else { return nil }
        self.epoch = epoch
        self.watchers = instances(watchers)
        entries = []
        entries.reserveCapacity(count)
        for index in 0..<count {
            guard let fresh = parts[2 + 2 * index].integer, let offset = parts[3 + 2 * index].unsigned else { return nil }
            entries.append(Delivered.Entry(isFresh: fresh == 1, offset: offset))
        }
    }
}

extension Crowd {
    init?(_ value: RedisValue) {
        guard let parts = value.array, parts.count == 3, let changed = parts[0].integer, let total = parts[1].integer,
            let listeners = parts[2].array
        else { return nil }
        self.init(changed: Int(clamping: changed), total: Int(clamping: total), listeners: instances(listeners))
    }
}

extension ChannelWatchers {
    init?(_ value: RedisValue) {
        guard let parts = value.array, parts.count >= 2, let clients = parts[0].integer, let people = parts[1].integer
        else { return nil }
        self.clients = Int(clamping: clients)
        self.people = Int(clamping: people)
        watchers = []
        for index in stride(from: 2, to: parts.count - 1, by: 2) {
            guard let connection = parts[index].bytes, let value = parts[index + 1].bytes else { continue }
            watchers.append((connection, watcherInfo(value)))
        }
    }
}

/// A watcher as stored: `<person>|<info>`. A `|` in the person's id is stored as `}`, which no id has, so that whoever reads
/// it up to the first `|` (a former version too) reads the same of her everywhere.
func storedWatcher(_ person: PersonID, _ info: [UInt8]) -> [UInt8] {
    let bar = UInt8(ascii: "|")
    return person.text.utf8.map { $0 == bar ? UInt8(ascii: "}") : $0 } + [bar] + info
}

/// What stands behind the person in a stored watcher.
func watcherInfo(_ value: [UInt8]) -> [UInt8] {
    guard let bar = value.firstIndex(of: UInt8(ascii: "|")) else { return [] }
    return Array(value[(bar + 1)...])
}

func instances(_ values: [RedisValue]) -> [InstanceID] {
    values.compactMap { $0.text.flatMap { InstanceID($0) } }
}
