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
}

/// People's device tokens. A token belongs to one person at a time: whoever registered it last. Confined to its client's loop.
public struct Devices {
    let client: RedisClient
    let keys: Keyspace

    public init(_ client: RedisClient, _ keys: Keyspace) {
        self.client = client
        self.keys = keys
    }

    /// Registers a device, or registers it anew; takes it from the person who had it. Who has more than `limit` then loses those
    /// that were registered longest ago: they are the ones least likely to be in use. Answers how many went. May be repeated after
    /// any error.
    ///
    /// Person and token lie on different shards, so no script can do it in one. The owner is written before the device, and
    /// `list` believes the owner: at no moment does a push for one person reach a device that another has taken over.
    public func put(
        _ device: Device, of person: PersonID, limit: Int, reply: @escaping (Result<Int, RedisError>) -> Void
    ) {
        owner(of: device.token) { previous in
            switch previous {
            case .failure(let error): reply(.failure(error))
            case .success(let previous):
                // The former owner's copy goes first: a repeated call would no longer know whose it was.
                if let previous, previous != person {
                    self.remove(device.token, from: previous) { result in
                        if case .failure(let error) = result { return reply(.failure(error)) }
                        self.store(device, person, limit, reply)
                    }
                } else {
                    self.store(device, person, limit, reply)
                }
            }
        }
    }

    private func store(
        _ device: Device, _ person: PersonID, _ limit: Int, _ reply: @escaping (Result<Int, RedisError>) -> Void
    ) {
        client.send(
            arguments: 3,
            { writer in
                writer.argument("SET" as StaticString)
                writeOwner(device.token, to: &writer)
                writer.argument(person.text)
            },
            { result in
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
                        switch result.decoded("put", { $0.array?.compactMap(\.text) }) {
                        case .failure(let error): reply(.failure(error))
                        case .success(let removed): self.disown(removed, person, reply)
                        }
                    })
            })
    }

    /// After they have left the person's devices.
    private func disown(_ tokens: [String], _ person: PersonID, _ reply: @escaping (Result<Int, RedisError>) -> Void) {
        guard !tokens.isEmpty else { return reply(.success(0)) }
        let gathering = Gathering<Void>(count: tokens.count) { all in reply(all.map { _ in tokens.count }) }
        for (index, token) in tokens.enumerated() {
            disown(token, person) { gathering.take($0, at: index) }
        }
    }

    /// A person's devices, in no order.
    public func list(of person: PersonID, reply: @escaping (Result<[Device], RedisError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument("HGETALL" as StaticString)
                keys.write("devices:", keys.tag(person), to: &writer)
            },
            { result in
                switch result.decoded("HGETALL devices", Device.devices) {
                case .failure(let error): reply(.failure(error))
                case .success(let devices): self.keep(devices, of: person, reply)
                }
            })
    }

    /// Leaves out what another person has taken over meanwhile.
    private func keep(_ devices: [Device], of person: PersonID, _ reply: @escaping (Result<[Device], RedisError>) -> Void) {
        guard !devices.isEmpty else { return reply(.success([])) }
        let gathering = Gathering<PersonID?>(count: devices.count) { owners in
            reply(owners.map { owners in zip(devices, owners).filter { $1 == person }.map(\.0) })
        }
        for (index, device) in devices.enumerated() {
            owner(of: device.token) { gathering.take($0, at: index) }
        }
    }

    /// Removes a person's device, if the person has it. May be repeated.
    public func delete(_ token: String, of person: PersonID, reply: @escaping (Result<Void, RedisError>) -> Void) {
        disown(token, person) { result in
            if case .failure(let error) = result { return reply(.failure(error)) }
            self.remove(token, from: person, reply)
        }
    }

    /// Removes a device that the provider calls gone, unless it was registered after `timestamp` (ms since 1970).
    /// Answers whether the person no longer has it.
    public func delete(
        _ token: String, of person: PersonID, unlessNewerThan timestamp: Int64, reply: @escaping (Result<Bool, RedisError>) -> Void
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
                case .success: self.disown(token, person) { reply($0.map { true }) }
                }
            })
    }

    private func remove(_ token: String, from person: PersonID, _ reply: @escaping (Result<Void, RedisError>) -> Void) {
        client.send(
            arguments: 3,
            { writer in
                writer.argument("HDEL" as StaticString)
                keys.write("devices:", keys.tag(person), to: &writer)
                writer.argument(token)
            },
            { reply($0.map { _ in }) })
    }

    private func disown(_ token: String, _ person: PersonID, _ reply: @escaping (Result<Void, RedisError>) -> Void) {
        client.eval(
            Self.disownScript, arguments: 2,
            { writer in
                writeOwner(token, to: &writer)
                writer.argument(person.text)
            },
            { reply($0.map { _ in }) })
    }

    private func owner(of token: String, _ reply: @escaping (Result<PersonID?, RedisError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument("GET" as StaticString)
                writeOwner(token, to: &writer)
            },
            { reply($0.decoded("GET device") { .some($0.text.flatMap { PersonID($0) }) }) })
    }

    /// `device:<token hash>`: SHA-256, for tokens of providers are of any length and form.
    private func writeOwner(_ token: String, to writer: inout RESPWriter) {
        keys.write("device:", bytes(hexadecimal(sha256(bytes(token)))), to: &writer)
    }

    /// KEYS: devices. ARGV: token, description, how many there may be. The time of the registration is put before the description.
    /// Answers the tokens that had to go.
    static let putScript = RedisScript(
        "put", keys: 1,
        Lua.clock + """
            redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. '|' .. ARGV[2])
            local over = redis.call('HLEN', KEYS[1]) - tonumber(ARGV[3])
            if over <= 0 then return {} end
            local all = redis.call('HGETALL', KEYS[1])
            local others = {}
            for i = 1, #all, 2 do
              if all[i] ~= ARGV[1] then
                others[#others + 1] = {all[i], tonumber(string.match(all[i + 1], '^%d+')) or 0}
              end
            end
            table.sort(others, function(a, b)
              if a[2] ~= b[2] then return a[2] < b[2] end
              return a[1] < b[1]
            end)
            local removed = {}
            for i = 1, math.min(over, #others) do
              removed[i] = others[i][1]
              redis.call('HDEL', KEYS[1], removed[i])
            end
            return removed
            """)

    /// KEYS: devices. ARGV: token, timestamp. Answers 0 if a newer registration stays.
    static let deleteOlderScript = RedisScript(
        "deleteOlder", keys: 1,
        """
        local value = redis.call('HGET', KEYS[1], ARGV[1])
        local at = value and tonumber(string.match(value, '^%d+'))
        if at and at > tonumber(ARGV[2]) then return 0 end
        redis.call('HDEL', KEYS[1], ARGV[1])
        return 1
        """)

    /// KEYS: device. ARGV: person.
    static let disownScript = RedisScript(
        "disown", keys: 1,
        """
        if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
        return 0
        """)
}

extension Device {
    /// From fields and values; a value is `<registered at>|<platform>|<environment>|<app>`.
    static func devices(_ value: RedisValue) -> [Device]? {
        guard let parts = value.array else { return nil }
        var devices: [Device] = []
        for index in stride(from: 0, to: parts.count - 1, by: 2) {
            guard let token = parts[index].text, let value = parts[index + 1].text else { continue }
            let fields = value.utf8.split(separator: UInt8(ascii: "|"), maxSplits: 3, omittingEmptySubsequences: false)
                .map { String(Substring($0)) }
            guard fields.count == 4, let registeredAt = Int64(fields[0]) else { continue }
            devices.append(
                Device(
                    token: token, platform: fields[1], app: fields[3], environment: fields[2],
                    registeredAt: registeredAt))
        }
        return devices
    }
}
