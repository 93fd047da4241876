import Centrifuge
import EventLoop
import HTTP
import Models
import Network
import Store
import Tokens

/// A client whose request waits for what comes next: the first notifications end it, and the connection under it stays
/// HTTP's. It holds a route while it waits and is gone with its answer; the client comes back with the cursor.
final class PollClient: Client {
    /// Called once, with the position at which it began; the answer waits until the closure that it is given is called.
    typealias Begin = (PollClient, StreamPosition, @escaping () -> Void) -> Void

    private let exchange: HTTPExchange
    /// Seconds after which nothing has come; 0: what is stored, or nothing.
    private let patience: Int
    /// What tags its cursor, if it came with a ticket.
    private let key: TagKey?
    private var onBegin: Begin?
    private var isRegistered = false
    /// The answer may not go yet, because what precedes it is under way.
    private var isWithheld: Bool
    /// An answer is wanted as soon as it may go.
    private var isDue = false
    private var batch = PollBatch()

    init(
        node: GatewayNode, stream: ByteStream, name: LocalConnection, exchange: HTTPExchange, identity: Identity, patience: Int,
        key: TagKey?, onBegin: Begin?
    ) {
        self.exchange = exchange
        self.patience = patience
        self.key = key
        self.onBegin = onBegin
        isWithheld = onBegin != nil
        super.init(node: node, stream: stream, name: name)
        self.identity = identity
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
        // Who asks for nothing before the present learns where that is, at once.
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

    /// All that one turn brings goes out together, up to the size of a page; the cursor leaves the rest to the next poll.
    override func write(_ publication: inout Publication, at position: StreamPosition) {
        guard batch.count < node.settings.pageEntries, batch.bytes < node.settings.sendBytes else { return }
        batch.append(publication.notification, at: position, isStored: false)
        guard !isDue else { return }
        isDue = true
        node.loop.atTurnEnd { [weak self] in self?.answer() }
    }

    /// Who waits learns at once that she has read elsewhere: an answer that may hold no notification.
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

    /// The cursor that it came with is still good wherever it comes back to, so nothing has to be said but when and why.
    override func disconnect(_ disconnect: Disconnect) {
        guard !hasLeft else { return }
        // What was taken for it this turn need not wait for another poll.
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
                headers: [("Retry-After", String((node.settings.jitteredRetry() + 999) / 1000))])
        }
    }
}
