/// Carries out a `Walk` over all sessions, or over all channels: it visits one place after another as long as there is room for
/// another read. Loop thread only.
final class Walker {
    private var walk: Walk
    /// Whether Redis can be read now.
    private let canRead: () -> Bool
    /// How many places there are now.
    private let extent: () -> UInt32
    /// Visits a place. Answers how many reads it began. `readEnded` is to be called at the end of each.
    private let visit: (UInt32) -> Int

    init(
        window: Int, canRead: @escaping () -> Bool, extent: @escaping () -> UInt32, visit: @escaping (UInt32) -> Int
    ) {
        walk = Walk(window: window)
        self.canRead = canRead
        self.extent = extent
        self.visit = visit
    }

    var isWalking: Bool { walk.isWalking }

    /// Visits all places. If a walk is under way, a whole one follows it. While Redis cannot be read it does nothing, and has
    /// to be called again when Redis is back.
    func start() {
        guard canRead() else { return }
        walk.start()
        goOn()
    }

    /// Stops. The next walk begins at the first place.
    func stop() { walk.stop() }

    /// A read that a visit began has ended, with success or not.
    func readEnded() {
        walk.readEnded()
        goOn()
    }

    private func goOn() {
        guard canRead() else { return walk.stop() }
        while case .visit(let place) = walk.step(extent: extent()) {
            for _ in 0..<visit(place) { walk.began() }
        }
    }
}
