/// What a look at a store in depth has found: whether it is fit to hold what was accepted.
public struct StoreExamination: Equatable, Sendable {
    /// Host and port.
    public var place: String
    public var outcome: Outcome

    public init(place: String, outcome: Outcome) {
        self.place = place
        self.outcome = outcome
    }

    public enum Outcome: Equatable, Sendable {
        /// It does not answer. The reason is one line.
        case away(reason: String, Mistake?)
        /// It answers, and must not be used as it is. The reason is one line.
        case unfit(reason: String, Mistake?)
        /// It answers, evicts nothing, and lets this user in.
        case answers(Fitness)
    }

    /// What was found at a store that answers.
    public struct Fitness: Equatable, Sendable {
        public var durability: Durability
        public var shards: Shards
        public var writes: Writes

        public init(durability: Durability, shards: Shards, writes: Writes) {
            self.durability = durability
            self.shards = shards
            self.writes = writes
        }
    }

    /// What is left of an acknowledged write when the server crashes.
    public enum Durability: Equatable, Sendable {
        /// Each write is on the disk before it is acknowledged.
        case everyWrite
        /// A crash loses some; the two settings are given as the server has them.
        case less(appendOnly: String, sync: String)
        /// The server does not tell its settings.
        case unknown
    }

    /// The number of shards with which the data were written, beside `SHARDS`.
    public enum Shards: Equatable, Sendable {
        case same(Int)
        /// Nothing is stored yet.
        case none(expected: Int)
        /// Nil stands for something that is no number.
        case other(Int64?, expected: Int)
        /// This user may not read it.
        case unreadable
    }

    public enum Writes: Equatable, Sendable {
        case taken
        /// The server refuses them. The reason is one line.
        case refused(reason: String, Refusal)
        /// It did not answer.
        case unanswered(reason: String)
    }

    /// Why a server refuses writes.
    public enum Refusal: Equatable, Sendable {
        case memory, replicas, disk, permission
    }

    /// What is known to be wrong where a connection could not be made.
    public enum Mistake: Equatable, Sendable, CaseIterable {
        /// The server drops keys when its memory is full.
        case evicts
        /// The server's certificate is not trusted, or names another host.
        case certificate
        /// The port speaks TLS, and the client does not.
        case needsTLS
        /// The client speaks TLS, and the port does not.
        case needsNoTLS
        /// User or password is wrong.
        case credentials
        /// The server wants a password, and none was given.
        case needsPassword
        /// The server has another password than the one given, or none.
        case password
        /// The user may not do what is needed (its ACL).
        case permission
    }
}
