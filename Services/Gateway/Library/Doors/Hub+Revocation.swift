import EventLoop
import Models
import Redis
import ServiceRuntime
import Store
import Tokens

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

// Revoked tokens: whoever comes is looked up, whoever is here is told. Redis holds the truth, a control line is the hint,
// and a gateway that may have missed one asks for each of its clients on its walk.
extension Hub {
    /// How long revocations are gathered before all clients are looked over: ten thousand clients take a millisecond.
    static let sweepDelay = Duration.milliseconds(50)
    /// How many are gathered at most; then it is done at once. Reached in RevocationTests.
    static let sweepLimit = 10_000

    /// Whether the credential has been revoked; nil if that cannot be known now.
    func isRevoked(_ identity: Client.Identity, _ reply: @escaping (Bool?) -> Void) {
        revocations.isRevoked(identity.person, token: identity.token, issued: identity.issued) { result in
            reply(try? result.get())
        }
    }

    /// Asks ahead of what is sent to Redis next for this client, so that its answer is known before that one's.
    func refuseIfRevoked(_ client: Client, _ identity: Client.Identity) {
        isRevoked(identity) { verdict in
            guard !client.hasLeft else { return }
            switch verdict {
            case false?: break
            case true?: self.close(client)
            case nil: client.notRegistered()
            }
        }
    }

    /// On a walk: a control line may have been lost. True if an answer will come that the walk hears of.
    func reviewCredential(of client: Client) -> Bool {
        guard let identity = client.identity else { return false }
        isRevoked(identity) { verdict in
            if verdict == true, !client.hasLeft { self.close(client) }
            self.walked()
        }
        return true
    }

    /// A control line for all clients of this gateway.
    func heardRevocation(_ line: Span<UInt8>) throws(JSONError) {
        guard let revocation = try Revocation(controlLine: line) else { return }
        sweep.add(revocation)
        if sweep.count >= Self.sweepLimit { return closeRevoked() }
        guard sweep.count == 1, sweepTimer == nil else { return }
        sweepTimer = loop.timer(after: Self.sweepDelay) { [weak self] in self?.closeRevoked() }
    }

    private func closeRevoked() {
        sweepTimer?.cancel()
        sweepTimer = nil
        let due = sweep
        sweep = RevocationSweep()
        for index in 0..<slab.extent {
            guard let client = slab[index], let identity = client.identity, due.revokes(identity) else { continue }
            close(client)
        }
    }

    private func close(_ client: Client) {
        refusals.note(.invalid(.revoked), from: address(of: client))
        client.disconnect(.revoked)
    }
}
