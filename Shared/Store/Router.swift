public import Models

/// What became of a batch.
public struct Published: Equatable, Sendable {
    /// The batch's number; 0 if the gateway has left, and nothing was published.
    public var sequence: UInt64
    /// How many heard it: 0 if nobody listens. While a subscription takes the place of another, both are counted.
    public var receivers: Int

    public init(sequence: UInt64, receivers: Int) {
        self.sequence = sequence
        self.receivers = receivers
    }
}

/// The way from whoever has something for a gateway to that gateway: numbered batches, answered by who heard.
///
/// This is a border: services know what stands here, and no implementation of it. What it promises:
///
/// - **Numbers.** The batches of one instance are numbered from 1 without a gap, whoever publishes them. The numbers begin when
///   the instance's lease is enrolled, and end when it is withdrawn. A batch for an instance without numbers is published to
///   nobody, and begins none.
/// - **Who heard.** The answer tells the batch's number and how many heard it. A batch that nobody heard has used its number up.
/// - **Order.** A subscription hears batches in the order of their numbers, each at most once.
/// - **No memory.** What was published while a subscription did not stand is never heard. The hole shows in the numbers: at the
///   next batch that is heard, or at the renewal of the lease, which tells the latest number (`SequenceTracker`).
/// - **Replies** come in the order of the calls, each exactly once, and never within the call.
///
/// Whoever is confined to a loop uses it on that loop's thread only.
public protocol Router {
    /// Numbers a batch and publishes it.
    ///
    /// Fails as an outage where it is not known whether the batch was published. A repetition is another batch with another
    /// number; that is harmless, for gateways drop what they have sent.
    /// - Parameter lines: a `GatewayBatch`'s: all of the message but its head, which is made here.
    func publish(
        _ lines: [UInt8], to instance: InstanceID, reply: @escaping (Result<Published, StoreError>) -> Void)

    /// A subscription to one instance's batches, not yet started.
    func subscription(to instance: InstanceID) -> any BatchSubscription
}

/// Hears what is published for one instance, and comes back by itself when it was cut off.
public protocol BatchSubscription: AnyObject {
    /// Called for each batch with the whole message: the head with the number, then the lines as they were published. To be set
    /// before `start`.
    var onBatch: (([UInt8]) -> Void)? { get set }
    /// Called once for each change. From `up` on everything that is published is heard; it is never `refusesWrites`. To be set
    /// before `start`.
    var onState: ((StoreState) -> Void)? { get set }
    /// The subscription stands.
    var isUp: Bool { get }

    func start()
    /// Asks whether the connection lives; one that does not say so in time is replaced. For whoever misses a batch and hears
    /// nothing.
    func probe()
    /// Ends it. Neither callback is called any more.
    func close()
}
