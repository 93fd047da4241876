public import Models
internal import Redis

/// What one step of a sweep removed from one channel.
public struct SweptWatchers: Equatable, Sendable {
    public var channel: ChannelID
    /// The info of each watcher that was removed.
    public var infos: [[UInt8]]
    /// Instances that may have listeners to tell.
    public var listeners: [InstanceID]
    /// No watcher of the instance is left at this channel.
    public var isComplete: Bool

    public init(channel: ChannelID, infos: [[UInt8]], listeners: [InstanceID], isComplete: Bool) {
        self.channel = channel
        self.infos = infos
        self.listeners = listeners
        self.isComplete = isComplete
    }
}

extension ChannelStreams {
    /// How many channels one step of a sweep looks at.
    private static let sweepChannels = 50

    /// Removes watchers that a dead instance has left. This is one step, to be repeated until it answers nothing. Several
    /// processes may do it at once. A channel whose keys are of another type cannot be swept, and is given up.
    public func sweep(
        _ instance: InstanceID, limit: Int = 500, reply: @escaping (Result<[SweptWatchers], StoreError>) -> Void
    ) {
        client.send(
            arguments: 3,
            { writer in
                writer.argument("SRANDMEMBER" as StaticString)
                keys.write("watching:{", bytes(instance.text), "}", to: &writer)
                writer.argument(Int64(Self.sweepChannels))
            },
            { result in
                switch result.decoded("SRANDMEMBER", \.array) {
                case .failure(let error): reply(.failure(error))
                case .success(let names):
                    let channels = names.compactMap { $0.bytes.flatMap { ChannelID($0.span) } }
                    self.sweep(instance, channels, limit, reply)
                }
            })
    }

    private func sweep(
        _ instance: InstanceID, _ channels: [ChannelID], _ limit: Int,
        _ reply: @escaping (Result<[SweptWatchers], StoreError>) -> Void
    ) {
        guard !channels.isEmpty else { return reply(.success([])) }
        let gathering = Gathering<SweptWatchers>(count: channels.count) { result in
            guard case .success(let swept) = result else { return reply(result) }
            self.forget(swept.filter(\.isComplete).map(\.channel), instance) { reply($0.map { swept }) }
        }
        for (index, channel) in channels.enumerated() {
            sweep(instance, channel: channel, limit: limit) { gathering.take($0, at: index) }
        }
    }

    /// Removes all watchers of one channel that an instance has left, and the note that the instance watched the channel. The
    /// instance must be gone for good. Nobody is told of the watchers. The call takes as many steps as it needs. May be
    /// repeated: after a failure it goes on where it ended.
    public func clean(
        _ channel: ChannelID, of instance: InstanceID, limit: Int = 500, reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        sweep(instance, channel: channel, limit: limit) { result in
            switch result {
            case .failure(let error): reply(.failure(error))
            case .success(let swept) where swept.isComplete: self.forget([channel], instance, reply)
            case .success: self.clean(channel, of: instance, limit: limit, reply: reply)
            }
        }
    }

    /// One step at one channel. The note that the instance watched it stays.
    private func sweep(
        _ instance: InstanceID, channel: ChannelID, limit: Int, reply: @escaping (Result<SweptWatchers, StoreError>) -> Void
    ) {
        client.eval(
            Self.sweepScript, arguments: 6,
            { writer in
                writeCrowd(bytes(channel.text), instance, to: &writer)
                writer.argument(instance.text)
                writer.argument(Int64(limit))
            },
            { result in
                if case .failure(let error) = result, !error.isOutage {
                    return reply(.success(SweptWatchers(channel: channel, infos: [], listeners: [], isComplete: true)))
                }
                reply(result.decoded("sweepWatchers") { SweptWatchers(channel, $0) })
            })
    }

    private func forget(
        _ channels: [ChannelID], _ instance: InstanceID, _ reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        guard !channels.isEmpty else { return reply(.success(())) }
        client.send(
            arguments: 2 + channels.count,
            { writer in
                writer.argument("SREM" as StaticString)
                keys.write("watching:{", bytes(instance.text), "}", to: &writer)
                for channel in channels { writer.argument(channel.text) }
            },
            { reply($0.done) })
    }
}

extension SweptWatchers {
    init?(_ channel: ChannelID, _ value: RedisValue) {
        guard let parts = value.array, parts.count == 3, let complete = parts[0].integer, let listeners = parts[1].array,
            let gone = parts[2].array
        else { return nil }
        self.init(
            channel: channel, infos: gone.compactMap { $0.bytes.map(watcherInfo) }, listeners: instances(listeners),
            isComplete: complete == 1)
    }
}
