import EventLoop
import Lanes
import ServiceStore
import Testing

/// What a turn does, and when the next one comes. On the loop only.
private final class Turns: @unchecked Sendable {
    // @unchecked: what is mutable is touched on the loop only.
    let loop = EventLoop(name: "turns")
    private(set) lazy var turns = StoreTurns(loop: loop) { self.isUp }
    var isUp = true
    var count = 0
    var mayAsk: [Bool] = []

    init() { loop.start() }

    func on<Answer: Sendable>(_ body: @escaping @Sendable (Turns) -> Answer) async -> Answer {
        await withCheckedContinuation { done in loop.post { done.resume(returning: body(self)) } }
    }

    func begin() async {
        await on { mine in
            mine.turns.begin {
                mine.count += 1
                mine.mayAsk.append(mine.turns.mayAsk())
            }
        }
    }

    /// Waits until there were so many turns; how many there were when the deadline has passed.
    func until(_ count: Int) async throws -> Int {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline, await on({ $0.count }) < count { try await Task.sleep(for: .milliseconds(5)) }
        return await on { $0.count }
    }
}

@Suite struct StoreTurnsTests {
    @Test func oneTurnHasAllThatBecamePossible() async throws {
        let turns = Turns()
        defer { turns.loop.stop() }
        await turns.begin()
        await turns.on { mine in for _ in 0..<10 { mine.turns.schedule() } }
        #expect(try await turns.until(2) == 2)
        #expect(await turns.on { $0.count } == 2)
    }

    @Test func aStoreThatIsAwayIsAskedAgainAfterPauses() async throws {
        let turns = Turns()
        defer { turns.loop.stop() }
        await turns.on { $0.isUp = false }
        await turns.begin()
        #expect(try await turns.until(3) >= 3)
        #expect(await turns.on { mine in !mine.mayAsk.contains(true) })
        // It is known to be back: no pause is waited for.
        let before = await turns.on { mine in
            mine.isUp = true
            mine.turns.wake()
            return mine.count
        }
        _ = try await turns.until(before + 1)
        #expect(await turns.on { $0.mayAsk.last == true && $0.turns.hold.state == .open })
    }

    @Test func aFaultLetsOthersAskAndATurnFollowsItsPause() async throws {
        let turns = Turns()
        defer { turns.loop.stop() }
        await turns.begin()
        #expect(
            await turns.on { mine in
                mine.turns.failed(isOutage: false)
                return mine.turns.mayAsk() && mine.turns.hold.state == .resting
            })
        #expect(try await turns.until(2) == 2)
        #expect(await turns.on { $0.turns.hold.state == .open })
    }

    @Test func whatHasEndedHasNoTurn() async throws {
        let turns = Turns()
        defer { turns.loop.stop() }
        #expect(await turns.on { $0.turns.isOver })
        await turns.begin()
        await turns.on { mine in
            mine.turns.failed(isOutage: true)
            mine.turns.schedule()
            mine.turns.end()
            mine.turns.wake()
            mine.turns.failed(isOutage: true)
        }
        // Longer than the first pause.
        try await Task.sleep(for: .milliseconds(120))
        #expect(await turns.on { $0.count == 1 && $0.turns.isOver })
    }
}
