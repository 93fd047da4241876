public import Models
public import Redis

/// The names of all Redis keys and channels, and the number of shards over which people are spread.
public struct Keyspace: Sendable {
    public let shards: Int
    /// `NAMESPACE:`, or nothing.
    let prefix: [UInt8]

    /// - Parameters:
    ///   - namespace: `NAMESPACE`; empty for none.
    ///   - shards: `SHARDS`. It never changes while the data live.
    public init(namespace: String, shards: Int) {
        precondition(shards > 0, "no shards")
        self.shards = shards
        prefix = namespace.isEmpty ? [] : Array(namespace.utf8) + [UInt8(ascii: ":")]
    }

    /// The key that holds the number of shards.
    public var shardsKey: String { text("shards") }

    /// Stores the number of shards in a new Redis, and compares it in an old one. With another number all people's keys would
    /// have other names.
    public var shardsCheck: RedisCheck {
        let expected = shards
        return RedisCheck("SET", text("shards"), String(expected), "NX", "GET") { result in
            switch result {
            case .success(.null): nil
            case .success(let value) where value.integer == Int64(expected): nil
            case .success(let value): "the data was written with SHARDS=\(value.integer ?? 0), and SHARDS is \(expected)"
            case .failure(let error): "the number of shards cannot be compared: \(error)"
            }
        }
    }

    /// The channel on which one gateway hears its batches. It is subscribed to with `SSUBSCRIBE`.
    public func channel(of gateway: InstanceID) -> String { text("gateway:{\(gateway)}") }

    // MARK: Keys

    /// `{s}:<person>`: each key of a person ends with it.
    func tag(_ person: PersonID) -> [UInt8] {
        var tag = shardTag(shard(of: person, shards: shards))
        tag.append(UInt8(ascii: ":"))
        tag.append(contentsOf: person.text.utf8)
        return tag
    }

    /// `{s}`.
    func shardTag(_ shard: Int) -> [UInt8] {
        var tag: [UInt8] = []
        tag.reserveCapacity(160)
        tag.append(UInt8(ascii: "{"))
        appendDigits(UInt64(shard), to: &tag)
        tag.append(UInt8(ascii: "}"))
        return tag
    }

    func text(_ key: String) -> String { String(decoding: prefix, as: UTF8.self) + key }

    /// Writes one key as an argument: `<namespace>:<kind><tag><suffix>`.
    func write(_ kind: StaticString, _ tag: [UInt8], _ suffix: StaticString = "", to writer: inout RESPWriter) {
        writer.beginArgument(length: prefix.count + kind.utf8CodeUnitCount + tag.count + suffix.utf8CodeUnitCount)
        writer.append(prefix)
        writer.append(kind)
        writer.append(tag)
        writer.append(suffix)
        writer.endArgument()
    }
}

extension Keyspace {
    /// Writes a key that shares the slot of `<namespace>:<name>`, which has no tag of its own:
    /// `<namespace>:{<namespace>:<name>}<suffix>`.
    func write(besides name: StaticString, _ suffix: StaticString, to writer: inout RESPWriter) {
        writer.beginArgument(length: 2 * prefix.count + name.utf8CodeUnitCount + suffix.utf8CodeUnitCount + 2)
        writer.append(prefix)
        writer.append("{" as StaticString)
        writer.append(prefix)
        writer.append(name)
        writer.append("}" as StaticString)
        writer.append(suffix)
        writer.endArgument()
    }
}

/// Every script of this module, for `RedisClient.init(scripts:)`.
public enum StoreScripts {
    public static let all = [
        Inbox.deliverScript, Inbox.pageScript, Inbox.acknowledgeScript, Inbox.markScript, Inbox.newestScript,
        Inbox.openScript, Inbox.auditScript, Routes.registerScript, Routes.addScript, Routes.unregisterScript, Routes.sweepScript,
        Gateways.beatScript, Gateways.renewScript, Gateways.condemnScript, Gateways.lookScript, RedisRouter.publishScript,
        ChannelStreams.appendScript, ChannelStreams.historyScript, ChannelStreams.watchScript, ChannelStreams.joinScript,
        ChannelStreams.unwatchScript, ChannelStreams.sweepScript, ChannelStreams.presenceScript,
        Tickets.replaceScript, Revocations.revokeScript, Devices.putScript, Devices.targetsScript, Devices.sentScript,
        Devices.moveScript, Devices.removeScript, Devices.deleteOlderScript, Devices.disownScript,
    ]
}

/// Bytes of a string.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
