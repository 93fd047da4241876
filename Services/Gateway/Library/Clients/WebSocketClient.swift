import Centrifuge
import EventLoop
import Models
import Network
import ServiceRuntime
import Store
import Tokens
import WebSocket

/// A client that speaks the Centrifuge protocol over a WebSocket.
final class WebSocketClient: Client {
    private enum Phase: UInt8 {
        /// Its connect command has not come.
        case opened
        /// Its token had expired. It may connect again. It has to repeat the commands that it sent behind the refused connect.
        case refused
        /// Its connect command is being answered.
        case connecting
        case connected
    }

    /// The channels that it watches; nil before the first.
    var watching: Watching?
    private var parser: WebSocketParser
    private var phase = Phase.opened
    /// Nothing has come since the last ping.
    private var isSilent = false
    private var isPinged = false
    private var wantsRecovery = false
    private var meter = OperationMeter()
    /// The name that it gives itself.
    private(set) var clientName = ClientName.other
    /// The lower half of the highest offset that it has acknowledged.
    var acknowledged: UInt32 = 0
    /// The id of the connect command while it is being answered; otherwise 0.
    private var connectID: UInt64 = 0

    init(node: GatewayNode, stream: ByteStream, name: LocalConnection, openedAt: UInt64, codec: Codec, isDeflating: Bool) {
        self.codec = codec
        parser = WebSocketParser(allowsCompression: isDeflating)
        super.init(node: node, stream: stream, name: name, openedAt: openedAt)
    }

    /// The codec in both directions.
    let codec: Codec

    private static let version = "carillon \(Version.text)"

    /// Compression was agreed on.
    var isDeflating: Bool { parser.allowsCompression }

    // MARK: From the client

    override func received(_ bytes: Span<UInt8>) {
        isSilent = false
        var offset = 0
        while !hasLeft {
            do {
                guard let event = try parser.next(bytes, at: &offset, limit: node.settings.calls.messageBytes) else { return }
                handle(try inflated(event))
            } catch {
                return disconnect(.breach(error.code, error.reason))
            }
        }
    }

    private func handle(_ event: WebSocketEvent) {
        switch event {
        case .text(let message) where codec == .json: handle(message)
        case .binary(let message) where codec == .protobuf: handle(message)
        case .text, .binary, .compressed: disconnect(.badRequest)
        case .ping(let payload) where isWithinRate(): answer(frame: WebSocketFrame.encode(.pong, payload))
        case .ping, .pong: break
        case .close(let code): farewell(WebSocketFrame.close(code))
        }
    }

    private func handle(_ message: [UInt8]) {
        guard phase != .connecting || mayHold(message.count) else { return disconnect(.tooManyOperations) }
        do {
            // One command more than it may send in a minute closes the connection. The commands behind that one need not be read.
            let limit = node.settings.calls.operationsPerMinute + 1
            for command in try codec.decode(message.span, limit: limit) where !hasLeft { handle(command) }
        } catch {
            disconnect(.badRequest)
        }
    }

    /// Counts one more command or ping. If there were too many, it closes the connection and answers false.
    private func isWithinRate() -> Bool {
        if meter.count(now: node.loop.now / 1000, limit: node.settings.calls.operationsPerMinute) { return true }
        disconnect(.tooManyOperations)
        return false
    }

    private func handle(_ command: Command) {
        guard isWithinRate() else { return }
        if case .connect(let id, let request) = command {
            guard phase == .opened || phase == .refused else { return disconnect(.badRequest) }
            return connect(id, request)
        }
        if command == .pong { return }
        switch phase {
        // The first command must be a connect. Centrifugo answers the same.
        case .opened: disconnect(.badRequest)
        case .refused: refuse(command, .unavailable)
        // SDKs that come back send their subscribes immediately behind the connect.
        case .connecting: if !hold(command) { refuse(command, .overLimit) }
        case .connected: obey(command)
        }
    }

    private func obey(_ command: Command) {
        switch command {
        case .refresh(let id, let token): refresh(id, token)
        case .channel(let id, let command): handle(id, command)
        case .unserved(let id): answer(.error(.notAvailable), to: id)
        case .unknown(let id): answer(.error(.methodNotFound), to: id)
        case .rpc(let id, let call): answer(call, id: id)
        case .send(let call): answer(call, id: nil)
        case .connect, .pong: break
        }
    }

    /// Answers a command. A client that asks and does not read the answers is closed, so that they do not fill the memory.
    func answer(frame: [UInt8]) {
        if isFull() { return disconnect(.slow) }
        stream.write(deflated(frame))
    }

    func answer(_ reply: Reply, to id: UInt64) { answer(frame: codec.frame(codec.encode(reply, to: id))) }

    private func connect(_ id: UInt64, _ request: ConnectRequest) {
        if !request.token.isEmpty {
            switch node.credentials.identity(of: request.token) {
            case .success(let claimed):
                let device = identity?.device
                identity = claimed
                identity?.device = claimed.device ?? device
            case .failure(.invalid(let fault)): return refuse(fault)
            case .failure(.expired(let seconds)): return refuse(id, expired: seconds)
            }
        }
        guard let identity, identity.expires > 0 else {
            node.credentials.note(.missing, of: self)
            return disconnect(.invalidToken("no token and no ticket"))
        }
        let late = EventLoop.wallClock() / 1000 - identity.expires
        if late >= 0 { return refuse(id, expired: late) }
        phase = .connecting
        connectID = id
        wantsRecovery = request.recovery != .none
        clientName = ClientName(request.name)
        let opening = Opening(at: node.loop.now &- UInt64(age), name: clientName)
        switch request.recovery {
        case .from(let position): node.registry.register(self, from: .after(position), opening: opening)
        case .none, .unknown: node.registry.register(self, from: .present, opening: opening)
        }
    }

    private func refresh(_ id: UInt64, _ token: String) {
        switch node.credentials.identity(of: token) {
        case .success(let claimed):
            guard let person = identity?.person, claimed.person == person else {
                node.credentials.note(.claims, of: self)
                return disconnect(.invalidToken("the token is another person's"))
            }
            let isSooner = claimed.expires < identity?.expires ?? 0
            // The identity is in place before Redis is asked: a revocation that comes meanwhile must find it.
            let device = identity?.device
            identity = claimed
            identity?.device = device
            regrant()
            if isSooner { node.clients.hastenExpiry(of: self) }
            node.credentials.standing(of: claimed) { [self] in refreshed(id, claimed.expires, $0) }
        case .failure(.invalid(let fault)): refuse(fault)
        case .failure(let error):
            // After an error in the reply SDKs would never come back. After this code they come back with a new token.
            node.credentials.note(error, of: self)
            disconnect(.expired)
        }
    }

    private func refreshed(_ id: UInt64, _ expires: Int64, _ standing: CredentialStanding) {
        guard !hasLeft else { return }
        switch standing {
        case .good:
            let result = RefreshResult(client: node.lease.connection(name).description, version: Self.version, ttl: ttl(expires))
            answer(.refresh(result), to: id)
        case .revoked: refuse(.revoked)
        case .unknown: answer(.error(.unavailable), to: id)
        }
    }

    /// Answers a connect whose token has expired. The client may send another connect.
    private func refuse(_ id: UInt64, expired seconds: Int64) {
        node.credentials.note(.expired(secondsAgo: seconds), of: self)
        phase = .refused
        answer(.error(.tokenExpired(secondsAgo: seconds)), to: id)
    }

    /// Closes the connection because its token is invalid. The same token would never be accepted.
    private func refuse(_ fault: TokenFault) {
        node.credentials.note(.invalid(fault), of: self)
        disconnect(.invalidToken(fault.rawValue))
    }

    /// In how many seconds the client should bring a new token. This is early enough to answer it before `exp`.
    private func ttl(_ expires: Int64) -> Int64 { max(1, expires - EventLoop.wallClock() / 1000 - 25) }

    // MARK: To the client

    override func registered(_ page: InboxPage, start: StreamPosition, recovered: Bool) {
        phase = .connected
        defer { for command in takeHeld() where !hasLeft { obey(command) } }
        let inbox = SubscribeResult(
            position: start, wasRecovering: wantsRecovery, recovered: recovered,
            publications: page.entries.map { StoredPublication($0) })
        let result = ConnectResult(
            client: node.lease.connection(name).description, version: Self.version, ttl: ttl(identity?.expires ?? 0),
            ping: node.settings.liveness.pingSeconds, data: page.state.counts.json, inbox: inbox)
        let id = connectID
        connectID = 0
        stream.write(deflated(codec.frame(codec.encode(.connect(result), to: id))))
    }

    override func notRegistered() { disconnect(.serverError) }

    override func write(_ publication: inout Publication, at position: StreamPosition) {
        if isDeflating, writeDeflated(&publication, at: position) { return }
        let tail = publication.tail(codec)
        let length = publication.notification.count
        stream.write(codec.publicationHead(position, notificationLength: length, tailLength: tail.count), tail)
    }

    override func write(_ counts: InboxCounts) { write(.message(Control.readLine(counts))) }

    /// Writes a push to this connection alone.
    func write(_ push: Push) { stream.write(deflated(codec.frame(codec.encode(push)))) }

    override func due(now: UInt64) -> Int? {
        guard phase == .connected else {
            // The connect command must come within HANDSHAKE_TIMEOUT.
            let left = Int(node.settings.liveness.handshakeTimeout.wholeMilliseconds) - Int(age)
            if left <= 0 {
                disconnect(phase == .connecting ? .serverError : .noConnect)
                return nil
            }
            return (left + 999) / 1000
        }
        return ping()
    }

    /// Sends a ping, and the next time looks whether anything came back. Answers the seconds until the next time; nil: the
    /// client is closed.
    private func ping() -> Int? {
        if isPinged {
            // A client that reads slowly may not have come to the ping yet. It is alive if its socket has taken something.
            if isSilent, !stream.hasMoved() {
                disconnect(.noPong)
                return nil
            }
            isPinged = false
            // Up to a fifth sooner, so that clients that came together are not pinged together for ever.
            let rest = node.settings.liveness.pingSeconds - node.settings.liveness.pongSeconds
            return rest - Int.random(in: 0...rest / 5)
        }
        isPinged = true
        isSilent = true
        _ = stream.hasMoved()
        // A full socket gets no ping. Its client is closed all the same if the socket takes nothing.
        if !stream.isBlocked { stream.write(codec.frame(codec.ping)) }
        return node.settings.liveness.pongSeconds
    }

    override func left() { endSubscriptions() }

    override func hasRoomAgain() { resumeSubscriptions() }

    override func disconnect(_ disconnect: Disconnect) {
        guard !hasLeft else { return }
        node.clients.count(disconnect)
        farewell(WebSocketFrame.close(disconnect.code, reason: disconnect.reason))
    }

    private func farewell(_ frame: [UInt8]) {
        guard !hasLeft else { return }
        node.clients.leave(self)
        stream.write(frame)
        stream.closeAfterFlush()
    }
}
