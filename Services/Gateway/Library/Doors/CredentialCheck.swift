import Centrifuge
import EventLoop
import Models
import Network
import ServiceRuntime
import Store
import Tokens

/// Whether a credential may still be used.
enum CredentialStanding {
    case good, revoked
    /// That cannot be known now.
    case unknown
}

/// Who a token's bearer is, and whether that token has been revoked: whoever comes is looked up, whoever is here is told. Redis
/// holds the truth, a control line is the hint, and a gateway that may have missed one asks for each of its clients on its
/// walk. Loop thread only.
final class CredentialCheck {
    /// How long revocations are gathered before all clients are looked over: ten thousand clients take a millisecond.
    static let sweepDelay = Duration.milliseconds(50)
    /// How many are gathered at most; then it is done at once. Reached in RevocationTests.
    static let sweepLimit = 10_000

    private let loop: EventLoop
    private let tokens: Credentials
    private let revocations: Revocations
    private let clients: Clients
    let refusals: Refusals
    private var sweep = RevocationSweep()
    private var timer: LoopTimer?

    init(loop: EventLoop, tokens: Credentials, revocations: Revocations, clients: Clients, refusals: Refusals) {
        self.loop = loop
        self.tokens = tokens
        self.revocations = revocations
        self.clients = clients
        self.refusals = refusals
    }

    // MARK: Tokens

    /// Who a token's bearer is, now.
    func identity(of token: String) -> Result<Client.Identity, TokenError> {
        tokens.claims(token).flatMap { claims in
            guard let person = PersonID(claims.subject) else { return .failure(.invalid(.badSubject)) }
            return .success(Client.Identity(claims, person, device: nil))
        }
    }

    /// The claims as a whole, for a ticket.
    func claims(_ token: String) -> Result<TokenClaims, TokenError> { tokens.claims(token) }

    /// Whether a ticket was made of a token that no service takes any more: a gateway of an earlier version did.
    func outlives(_ ticket: Ticket) -> Bool {
        tokens.outlives(expires: ticket.expires, issuedAt: ticket.issued == 0 ? nil : ticket.issued)
    }

    // MARK: Refusals

    /// Where a connection came from that has outlived its request.
    private func address(of client: Client) -> LoggedAddress? {
        client.addressKey == 0 ? client.stream.peer.map(refusals.logged) : refusals.logged(key: client.addressKey)
    }

    func note(_ cause: RefusalCause, of client: Client) { refusals.note(cause, from: address(of: client)) }

    func note(_ error: TokenError, of client: Client) { refusals.note(error, from: address(of: client)) }

    // MARK: Revocations

    /// Whether the credential has been revoked.
    func standing(of identity: Client.Identity, _ reply: @escaping (CredentialStanding) -> Void) {
        revocations.isRevoked(identity.person, token: identity.token, issued: identity.issued) { result in
            switch result {
            case .success(let isRevoked): reply(isRevoked ? .revoked : .good)
            case .failure: reply(.unknown)
            }
        }
    }

    /// Asks for one who comes: `isGood` is called if her credential stands; otherwise she is sent away. What else is asked for
    /// her meanwhile may be answered before.
    func refuseIfRevoked(_ client: Client, _ identity: Client.Identity, isGood: @escaping () -> Void) {
        standing(of: identity) { [self] standing in
            guard !client.hasLeft else { return }
            switch standing {
            case .good: isGood()
            case .revoked: close(client)
            case .unknown: client.notRegistered()
            }
        }
    }

    /// Asks for one who is here: a control line may have been lost. True if that is under way; `done` is called at its end.
    func review(_ client: Client, then done: @escaping () -> Void) -> Bool {
        guard let identity = client.identity else { return false }
        standing(of: identity) { [self] standing in
            if standing == .revoked, !client.hasLeft { close(client) }
            done()
        }
        return true
    }

    /// A control line for all clients of this gateway.
    func heard(_ line: Span<UInt8>) throws(JSONError) {
        guard let revocation = try Revocation(controlLine: line) else { return }
        sweep.add(revocation)
        if sweep.count >= Self.sweepLimit { return closeRevoked() }
        guard sweep.count == 1, timer == nil else { return }
        timer = loop.timer(after: Self.sweepDelay) { [weak self] in self?.closeRevoked() }
    }

    private func closeRevoked() {
        timer?.cancel()
        timer = nil
        let due = sweep
        sweep = RevocationSweep()
        for place in 0..<clients.extent {
            guard let client = clients[place], let identity = client.identity, due.revokes(identity) else { continue }
            close(client)
        }
    }

    private func close(_ client: Client) {
        note(TokenError.invalid(.revoked), of: client)
        client.disconnect(.revoked)
    }
}

/// Revocations that came together, so that one look over all clients serves them all. Pure.
struct RevocationSweep {
    private var tokens: Set<UInt64> = []
    private var people: [PersonID: Int64] = [:]

    var count: Int { tokens.count + people.count }

    mutating func add(_ revocation: Revocation) {
        switch revocation {
        case .token(let hash): tokens.insert(hash)
        case .person(let person, let before): people[person] = max(before, people[person] ?? before)
        }
    }

    func revokes(_ identity: Client.Identity) -> Bool {
        if identity.token != 0, tokens.contains(identity.token) { return true }
        guard !people.isEmpty, let before = people[identity.person] else { return false }
        return identity.issued < before
    }
}
