public import Models
public import Store

/// Who watches one channel.
struct MemoryCrowd {
    var counts: [InstanceID: WatcherCount] = [:]
    var watchers: [InstanceID: [ConnectionID: Watcher]] = [:]

    var total: Int { counts.values.reduce(0) { $0 + $1.watchers } }
    var listeners: [InstanceID] { counts.filter { $0.value.listeners > 0 }.map(\.key) }

    func crowd(changed: Int) -> Crowd { Crowd(changed: changed, total: total, listeners: listeners) }
}

extension MemoryStore: RouteRegistry {
    public func add(
        _ connection: ConnectionID, of person: PersonID, device: String, transport: Transport,
        reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        answer(reply) { routesOf[person, default: [:]][connection] = "\(device)|\(transport.rawValue)" }
    }

    public func routes(of person: PersonID, reply: @escaping (Result<[[UInt8]], StoreError>) -> Void) {
        answer(reply) { routesOf[person, default: [:]].keys.map { Array($0.description.utf8) } }
    }

    public func unregister(
        _ connection: ConnectionID, of person: PersonID, reply: @escaping (Result<Int, StoreError>) -> Void
    ) {
        answer(reply) {
            routesOf[person]?[connection] = nil
            return routesOf[person]?.count ?? 0
        }
    }

    public func connections(of people: [PersonID], reply: @escaping (Result<[Int], StoreError>) -> Void) {
        answer(reply) { people.map { routesOf[$0]?.count ?? 0 } }
    }

    public func sweep(
        _ instance: InstanceID, shard: Int, limit: Int, reply: @escaping (Result<Int, StoreError>) -> Void
    ) {
        answer(reply) {
            var gone = 0
            for (person, routes) in routesOf where Models.shard(of: person, shards: shards) == shard {
                for connection in routes.keys where connection.instance == instance && gone < limit {
                    routesOf[person]?[connection] = nil
                    gone += 1
                }
            }
            return gone
        }
    }
}

extension MemoryStore: LeaseRegistry {
    public func enrol(_ instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        answer(reply) {
            counts[instance] = 0
            router.begin(instance)
        }
    }

    public func renew(_ instance: InstanceID, reply: @escaping (Result<Renewal, StoreError>) -> Void) {
        answer(reply) {
            guard let count = counts[instance], count >= 0 else { return .gone }
            counts[instance] = count + 1
            return .renewed(count: UInt64(count + 1), sequence: router.latest(of: instance) ?? 0)
        }
    }

    public func leases(reply: @escaping (Result<[Lease], StoreError>) -> Void) {
        answer(reply) { counts.map { Lease(instance: $0.key, count: UInt64(exactly: $0.value)) } }
    }

    public func look(reply: @escaping (Result<[Lease], StoreError>) -> Void) { leases(reply: reply) }

    public func condemn(
        _ instance: InstanceID, ifCountIs count: UInt64, reply: @escaping (Result<Bool, StoreError>) -> Void
    ) {
        answer(reply) {
            guard let stored = counts[instance], stored >= 0 else { return true }
            guard stored == Int64(count) else { return false }
            counts[instance] = -1
            return true
        }
    }

    public func withdraw(_ instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        answer(reply) {
            router.end(instance)
            counts[instance] = nil
        }
    }
}

extension MemoryStore: WatcherRegistry {
    public func watch(
        _ channel: ChannelID, at instance: InstanceID, _ newcomers: [Watcher], count: WatcherCount,
        reply: @escaping (Result<Crowd, StoreError>) -> Void
    ) {
        answer(reply) {
            watching[instance, default: []].insert(channel)
            var crowd = crowds[channel, default: MemoryCrowd()]
            defer { crowds[channel] = crowd }
            var changed = 0
            for newcomer in newcomers {
                let old = crowd.watchers[instance, default: [:]].updateValue(newcomer, forKey: newcomer.connection)
                if old == nil { changed += 1 }
            }
            crowd.counts[instance] = count.watchers + count.listeners > 0 ? count : nil
            return crowd.crowd(changed: changed)
        }
    }

    public func unwatch(
        _ channel: ChannelID, at instance: InstanceID, _ connections: [ConnectionID], count: WatcherCount,
        reply: @escaping (Result<Crowd, StoreError>) -> Void
    ) {
        answer(reply) {
            var crowd = crowds[channel, default: MemoryCrowd()]
            defer { crowds[channel] = crowd }
            let changed = connections.count { crowd.watchers[instance]?.removeValue(forKey: $0) != nil }
            crowd.counts[instance] = count.watchers + count.listeners > 0 ? count : nil
            return crowd.crowd(changed: changed)
        }
    }

    public func presence(of channel: ChannelID, limit: Int, reply: @escaping (Result<ChannelWatchers, StoreError>) -> Void) {
        answer(reply) {
            let crowd = crowds[channel, default: MemoryCrowd()]
            let all = crowd.watchers.values.flatMap(\.values)
            let named = crowd.total <= limit ? all.map { (Array($0.connection.description.utf8), $0.info) } : []
            return ChannelWatchers(clients: crowd.total, people: Set(all.map(\.person)).count, watchers: named)
        }
    }

    public func forget(
        _ channel: ChannelID, at instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        answer(reply) { watching[instance]?.remove(channel) }
    }

    public func forgetAll(at instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        answer(reply) { watching[instance] = nil }
    }

    public func sweep(
        _ instance: InstanceID, limit: Int, reply: @escaping (Result<[SweptWatchers], StoreError>) -> Void
    ) {
        answer(reply) {
            let swept = watching[instance, default: []].prefix(50).map { take($0, of: instance, limit: limit) }
            for each in swept where each.isComplete { watching[instance]?.remove(each.channel) }
            return swept
        }
    }

    public func clean(
        _ channel: ChannelID, of instance: InstanceID, limit: Int, reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        answer(reply) {
            _ = take(channel, of: instance, limit: .max)
            watching[instance]?.remove(channel)
        }
    }

    private func take(_ channel: ChannelID, of instance: InstanceID, limit: Int) -> SweptWatchers {
        var crowd = crowds[channel, default: MemoryCrowd()]
        defer { crowds[channel] = crowd }
        crowd.counts[instance] = nil
        let gone = crowd.watchers[instance, default: [:]].prefix(limit).map { $0 }
        for (connection, _) in gone { crowd.watchers[instance]?[connection] = nil }
        return SweptWatchers(
            channel: channel, infos: gone.map(\.value.info), listeners: crowd.listeners,
            isComplete: crowd.watchers[instance]?.isEmpty ?? true)
    }
}
