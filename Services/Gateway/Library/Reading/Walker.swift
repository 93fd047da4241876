/// Takes a `Walk` over all sessions, or over all channels: visits one place after another while no more than so many reads are
/// under way. Loop thread only.
final class Walker {
    private var walk: Walk
    /// Whether what a visit reads can be read now.
    private let canRead: () -> Bool
    /// Places that there are now.
    private let extent: () -> UInt32
    /// Looks at a place; answers how many reads it began, of whose ends `ended` is to be told.
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

    /// Visits all places; a walk that is under way is followed by a whole one. Nothing is begun while nothing can be read:
    /// whoever notices that it can be again starts once more.
    func start() {
        guard canRead() else { return }
        walk.start()
        goOn()
    }

    /// The next one begins at the first place.
    func stop() { walk.stop() }

    /// A read that a visit began has ended, well or not.
    func ended() {
        walk.ended()
        goOn()
    }

    private func goOn() {
        guard canRead() else { return walk.stop() }
        while case .visit(let place) = walk.step(extent: extent()) {
            for _ in 0..<visit(place) { walk.began() }
        }
    }
}
