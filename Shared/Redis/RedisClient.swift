public import EventLoop

/// A client of one Redis: pipelined, one write a turn of the loop, reconnecting by itself. Loop thread only.
///
/// Replies come in the order of the commands, each exactly once and never within the call that sent it. Nothing is sent
/// while Redis is away (`RedisError.unavailable`) and nothing is repeated by itself: what to repeat is its caller's to know.
public final class RedisClient {
    public typealias Reply = (Result<RedisValue, RedisError>) -> Void

    public let loop: EventLoop
    /// Called once each way. A `refused` names what is wrong with the Redis that answers.
    public var onState: ((RedisState) -> Void)?
    /// Called once each way while the state is `up`, if a key to watch with was named.
    public var onWrites: ((RedisWrites) -> Void)? {
        get { watch?.onChange }
        set { watch?.onChange = newValue }
    }
    /// Whether Redis takes writes, as far as is known: also where that is why there is no connection.
    public var writes: RedisWrites { connector.refusedWrite.map { .refused($0) } ?? watch?.writes ?? .taken }
    /// `nil` until the first attempt has ended.
    public private(set) var state: RedisState?

    private let connector: RedisConnector
    private let ping: IdlePing
    private let watch: WriteWatch?
    private let scripts: [RedisScript]
    private var connection: RedisConnection?

    /// - Parameters:
    ///   - scripts: loaded each time a connection is made.
    ///   - checks: asked each time a connection is made, after the eviction policy.
    ///   - writable: a key by which it is watched whether Redis takes writes (`onWrites`); nil: it is not.
    public init(
        loop: EventLoop, endpoint: RedisEndpoint, limits: RedisLimits = RedisLimits(), scripts: [RedisScript] = [],
        checks: [RedisCheck] = [], writable: String? = nil
    ) {
        loop.assertCurrent()
        self.loop = loop
        self.scripts = scripts
        ping = IdlePing(loop: loop, period: limits.idlePing)
        watch = writable.map { WriteWatch(loop: loop, key: $0) }
        connector = RedisConnector(
            loop: loop, endpoint: endpoint, limits: limits, scripts: scripts, checks: [.evictionPolicy] + checks,
            last: ["PING"])
    }

    /// Begins to connect; `onState` tells how it goes.
    public func start() {
        loop.assertCurrent()
        connector.onState = { state, connection in
            self.state = state
            self.connection = connection
            self.took(connection)
            self.onState?(state)
        }
        connector.start()
    }

    private func took(_ connection: RedisConnection?) {
        guard let connection else {
            ping.stop()
            watch?.stop()
            return
        }
        watch?.start(connection)
        let watch = watch
        ping.start(connection) { watch?.question ?? ["PING"] }
    }

    /// Ends the connection and all attempts; what is in flight fails as `disconnected`. `onState` is not called for it.
    public func close() {
        loop.assertCurrent()
        onState = nil
        onWrites = nil
        ping.stop()
        watch?.stop()
        connection = nil
        state = .down(reason: "closed")
        connector.close()
    }

    public var isUp: Bool { connection != nil }
    /// Commands sent and not yet answered.
    public var inFlight: Int { connection?.commandsInFlight ?? 0 }

    // MARK: Commands

    /// Sends one command.
    public func send(_ arguments: String..., reply: @escaping Reply) {
        send(arguments: arguments.count, { writer in for argument in arguments { writer.argument(argument) } }, reply)
    }

    /// Sends one command whose arguments, its name among them, `write` writes.
    public func send(arguments: Int, _ write: (inout RESPWriter) -> Void, _ reply: @escaping Reply) {
        loop.assertCurrent()
        guard let connection, !connection.isFull else {
            let error: RedisError = connection == nil ? .unavailable : .overloaded
            return loop.atTurnEnd { reply(.failure(error)) }
        }
        connection.send(arguments: arguments, write, reply)
    }

    /// Calls a script with so many arguments, its keys among them, which `write` writes.
    ///
    /// If the server has lost the script, it is loaded again and the call fails with an error that is an outage and
    /// `wasNotExecuted`: to repeat it here would let what was sent behind it go first.
    public func eval(_ script: RedisScript, arguments: Int, _ write: (inout RESPWriter) -> Void, _ reply: @escaping Reply) {
        assert(arguments >= script.keys, "\(script.name) has \(script.keys) keys")
        send(
            arguments: arguments + 3,
            { writer in
                writer.rawArguments(script.call, count: 3)
                write(&writer)
            },
            { result in
                if case .failure(.server(let text)) = result, text.hasPrefix("NOSCRIPT") { self.load(script) }
                reply(result)
            })
    }

    /// Which run of which server answers (`INFO server`): another after a restart and after a failover. Nil if it does not
    /// say so.
    public func runID(_ reply: @escaping (String?) -> Void) {
        send("INFO", "server") { result in
            let name = "run_id:"
            let text = (try? result.get())?.text ?? ""
            let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }
            reply(line.map { String($0.dropFirst(name.count)) })
        }
    }

    /// A subscriber of one sharded channel of the same Redis, with a connection of its own, which it makes when it is started.
    /// - Parameter idlePing: how long that connection may be quiet before it is asked whether it lives; nil: never by itself.
    public func subscriber(to channel: String, idlePing: Duration?) -> RedisSubscriber {
        var limits = connector.limits
        limits.idlePing = idlePing
        return RedisSubscriber(loop: loop, endpoint: connector.endpoint, limits: limits, channel: channel)
    }

    private func load(_ script: RedisScript) {
        // Many calls may have failed together; to load it for each is wasteful and harmless.
        connection?.send(["SCRIPT", "LOAD", script.source]) { _ in }
    }
}
