import Centrifuge
import EventLoop
import HTTP
import Models
import Network
import Store
import Tokens

/// A client whose request waits for the next notifications. They are its answer, and the connection stays with HTTP. It has a
/// route while it waits, and leaves with its answer. The client comes back with the cursor.
final class PollClient: Client {
    private let exchange: HTTPExchange
    /// How many seconds it waits at most. 0: it is answered with what is stored, which may be nothing.
    private let patience: Int
    /// Tags its cursor; nil if it came without a ticket.
    private let key: TagKey?
    /// Called once, at the registration. The answer waits for it.
    private var onBegin: CursorReader.Begin?
    private var isRegistered = false
    /// The answer may not go yet, because its ticket is being marked.
    private var isWithheld: Bool
    /// An answer is wanted as soon as it may go.
    private var isDue = false
    private var batch = PollBatch()

    init(
        node: GatewayNode, stream: ByteStream, name: LocalConnection, exchange: HTTPExchange, reader: CursorReader, patience: Int
    ) {
        self.exchange = exchange
        self.patience = patience
        key = reader.key
        onBegin = reader.onBegin
        isWithheld = onBegin != nil
        super.init(node: node, stream: stream, name: name)
        identity = reader.identity
        exchange.onClose = { [weak self] in self?.gone() }
    }

    override var transport: Transport { .poll }
    override var ownsStream: Bool { false }

    private func gone() { node.clients.leave(self) }

    override func registered(_ page: InboxPage, start: StreamPosition, recovered: Bool) {
        isRegistered = true
        batch.begin(at: start, recovered: recovered, unread: page.state.unread)
        for entry in page.entries {
            batch.append(
                entry.bytes[...], at: StreamPosition(epoch: start.epoch, offset: entry.offset), isStored: true)
        }
        // A client that has shown no cursor learns at once where the present is.
        isDue = !recovered || !batch.isEmpty || patience == 0
        if let begin = onBegin {
            onBegin = nil
            begin(self, start) { [weak self] in self?.release() }
        } else if isDue {
            answer()
        }
    }

    private func release() {
        isWithheld = false
        if isDue { answer() }
    }

    override func notRegistered() { disconnect(.serverError) }

    /// All notifications of one turn go out together, up to the size of a page. The next poll gets the rest, behind the cursor.
    override func write(_ publication: inout Publication, at position: StreamPosition) {
        guard batch.count < node.settings.sending.pageEntries, batch.bytes < node.settings.sending.bytes else { return }
        batch.append(publication.notification, at: position, isStored: false)
        guard !isDue else { return }
        isDue = true
        node.loop.atTurnEnd { [weak self] in self?.answer() }
    }

    /// The client learns at once that its person has read elsewhere, even if the answer holds no notification.
    override func write(_ counts: InboxCounts) {
        batch.count(counts.unread)
        guard !isDue else { return }
        isDue = true
        node.loop.atTurnEnd { [weak self] in self?.answer() }
    }

    override func due(now: UInt64) -> Int? {
        isDue = true
        if isRegistered { answer() } else { disconnect(.serverError) }
        return nil
    }

    private func answer() {
        guard !hasLeft, !isWithheld else { return }
        node.clients.leave(self)
        guard batch.isWorthAnAnswer else { return exchange.respond(HTTPResponse(status: 204, headers: Self.unstored)) }
        exchange.respond(.json(batch.json(key)))
    }

    private static let unstored = [(name: "Cache-Control", value: "no-store")]

    /// The answer says when to come back, and why. The cursor that the client came with is good at every gateway.
    override func disconnect(_ disconnect: Disconnect) {
        guard !hasLeft else { return }
        // Notifications of this turn need not wait for another poll.
        if !isWithheld, !batch.isEmpty { return answer() }
        node.clients.count(disconnect)
        node.clients.leave(self)
        exchange.respond(refusal(disconnect))
    }

    private func refusal(_ disconnect: Disconnect) -> HTTPResponse {
        switch disconnect {
        // The next poll is told `recovered: false`, and where the present is.
        case .historyLost: HTTPResponse(status: 204, headers: Self.unstored)
        case .revoked: .unauthorised("token_revoked", "The token has been revoked.")
        case .expired: .unauthorised("token_expired", "The token has expired.")
        case .replaced: .unauthorised("token_invalid", "The ticket was used elsewhere.")
        case _ where (3500...3999).contains(disconnect.code):
            .unauthorised("token_invalid", "The connection was closed for good: \(disconnect.reason).")
        default:
            .problem(
                status: 503, name: "unavailable", detail: "This gateway cannot serve the poll now: \(disconnect.reason).",
                headers: [("Retry-After", String((node.settings.admission.jitteredRetry() + 999) / 1000))])
        }
    }
}
