public import EventLoop
public import Lanes

/// When the work on a batch goes on: at the end of a turn of the loop in which something became possible, and after a failure
/// once its pause is over. So one turn has all that its answers allow, and leaves in one write. Loop thread only.
public final class StoreTurns {
    private let loop: EventLoop
    private let isUp: () -> Bool
    /// Nil before the work begins, and once it has ended.
    private var body: (() -> Void)?
    /// What waits, and what does not.
    public private(set) var hold = Hold()
    private var pause: LoopTimer?
    private var isScheduled = false

    /// - Parameter isUp: whether the store is known to answer.
    public init(loop: EventLoop, isUp: @escaping () -> Bool) {
        self.loop = loop
        self.isUp = isUp
    }

    /// Takes the first turn now.
    /// - Parameter body: does all that is possible in a turn. It is let go by `end`.
    public func begin(_ body: @escaping () -> Void) {
        self.body = body
        body()
    }

    /// Nothing is to be done: it has not begun, or has ended.
    public var isOver: Bool { body == nil }

    /// Does, once at the end of this turn, all that has become possible in it.
    public func schedule() {
        guard !isScheduled else { return }
        isScheduled = true
        loop.atTurnEnd {
            self.isScheduled = false
            self.body?()
        }
    }

    /// Whether the store may be asked now. One that is away is asked after a pause.
    public func mayAsk() -> Bool {
        if hold.state != .outage, !isUp() { failed(isOutage: true) }
        return hold.state != .outage
    }

    /// A call failed: a turn follows once the pause is over.
    public func failed(isOutage: Bool) {
        guard !isOver, let length = hold.failed(isOutage: isOutage) else { return }
        pause = loop.timer(after: length) { self.resume() }
    }

    /// A call was answered as it should be.
    public func succeeded() { hold.succeeded() }

    /// The store answers again: no pause need be waited for.
    public func wake() {
        if !isOver { resume() }
    }

    /// Nothing more is to be done: another batch has begun, or the service ends.
    public func end() {
        pause?.cancel()
        pause = nil
        body = nil
    }

    private func resume() {
        pause?.cancel()
        pause = nil
        hold.resume()
        schedule()
    }
}
