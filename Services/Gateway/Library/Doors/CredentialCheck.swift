import Centrifuge
import EventLoop
import Models
import Network
import ServiceRuntime
import ServiceStore
import Store
import Tokens

/// Who a token's bearer is, and whether the token was revoked. For a newcomer Redis is asked. Clients that are here are closed
/// upon a control line. A control line may be lost, so a gateway that may have missed one asks Redis for each client on its
/// walk. Loop thread only.
final class CredentialCheck {
    /// How long revocations are gathered before all clients are compared with them. Ten thousand clients take a millisecond.
    static let sweepDelay = Duration.milliseconds(50)
    /// How many are gathered at most. With so many, the comparison is made at once. RevocationTests reaches it.
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

    /// Who the bearer of a token is, if the token is good now.
    func identity(of token: String) -> Result<Client.Identity, TokenError> {
        tokens.claims(token).flatMap { claims in
            guard let person = PersonID(claims.subject) else { return .failure(.invalid(.badSubject)) }
            return .success(Client.Identity(claims, person, device: nil))
        }
    }

    /// All claims of a token, for a ticket.
    func claims(_ token: String) -> Result<TokenClaims, TokenError> { tokens.claims(token) }

    /// Whether a ticket was made of a token that lives longer than any token may. A gateway of an earlier version made such
    /// tickets.
    func outlives(_ ticket: Ticket) -> Bool {
        tokens.outlives(expires: ticket.expires, issuedAt: ticket.issued == 0 ? nil : ticket.issued)
    }

    // MARK: Refusals

    /// Where a connection came from whose request is over.
    private func address(of client: Client) -> LoggedAddress? {
        client.addressKey == 0 ? client.stream.peer.map(refusals.logged) : refusals.logged(key: client.addressKey)
    }

    func note(_ cause: RefusalCause, of client: Client) { refusals.note(cause, from: address(of: client)) }

    func note(_ error: TokenError, of client: Client) { refusals.note(error, from: address(of: client)) }

    // MARK: Revocations

    /// Whether the credential has been revoked.
    func standing(of identity: Client.Identity, _ reply: @escaping (CredentialStanding) -> Void) {
        revocations.standing(of: identity.person, token: identity.token, issued: identity.issued, reply)
    }

    /// The same for a token whose claims are known.
    func standing(of claims: TokenClaims, _ reply: @escaping (CredentialStanding) -> Void) {
        revocations.standing(of: claims, reply)
    }

    /// Asks whether a newcomer's token was revoked. Calls `isGood` if it was not, and otherwise sends the client away. Redis may
    /// answer other questions about the client before this one.
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

    /// Closes a client whose token was revoked, if the control line was lost. Answers true if the question is under way; `done`
    /// is called at its end.
    func review(_ client: Client, then done: @escaping () -> Void) -> Bool {
        guard let identity = client.identity else { return false }
        standing(of: identity) { [self] standing in
            if standing == .revoked, !client.hasLeft { close(client) }
            done()
        }
        return true
    }

    /// A control line for all clients of this gateway has come.
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

/// Revocations that came together. All clients are compared with all of them at once. Pure.
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
