public import EventLoop

/// A connection of its own that listens on one sharded channel (`SSUBSCRIBE`). Loop thread only.
///
/// Pub/Sub forgets: what was published while the state was not `up` is lost, and whoever listens must ask for it elsewhere.
public final class RedisSubscriber {
    /// One message, as it was published.
    public var onMessage: (([UInt8]) -> Void)?
    /// Once each way; `up` means that the subscription stands.
    public var onState: ((RedisState) -> Void)?
    public private(set) var isUp = false

    private let loop: EventLoop
    private let connector: RedisConnector
    private var connection: RedisConnection?
    private let ping: IdlePing

    public init(loop: EventLoop, endpoint: RedisEndpoint, limits: RedisLimits = RedisLimits(), channel: String) {
        loop.assertCurrent()
        self.loop = loop
        ping = IdlePing(loop: loop, period: limits.idlePing)
        connector = RedisConnector(
            loop: loop, endpoint: endpoint, limits: limits, scripts: [], checks: [], last: ["SSUBSCRIBE", channel])
    }

    public func start() {
        loop.assertCurrent()
        connector.onOpen = { connection in
            connection.onPush = { [unowned connection] in self.take($0, connection) }
        }
        connector.onState = { state, connection in
            self.connection = connection
            self.isUp = connection != nil
            if let connection { self.ping.start(connection) } else { self.ping.stop() }
            self.onState?(state)
        }
        connector.start()
    }

    /// Asks the server whether it lives; if it does not say so in time, the connection counts as lost.
    public func probe() {
        loop.assertCurrent()
        guard let connection, connection.commandsInFlight == 0 else { return }
        connection.send(["PING"]) { _ in }
    }

    /// Ends the subscription and all attempts; neither callback is called any more.
    public func close() {
        loop.assertCurrent()
        onMessage = nil
        onState = nil
        isUp = false
        ping.stop()
        connection = nil
        connector.close()
    }

    private func take(_ value: RedisValue, _ connection: RedisConnection) -> Bool {
        guard case .array(let parts) = value, parts.count == 3, let kind = parts[0].bytes else { return false }
        if kind.elementsEqual("smessage".utf8) {
            if let message = parts[2].bytes { onMessage?(message) }
            return true
        }
        return false
    }
}
