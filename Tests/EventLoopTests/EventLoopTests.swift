import EventLoop
import Glibc
import Synchronization
import Testing

private actor Resident: LoopActor {
    nonisolated let loop: EventLoop
    private var log: [String] = []
    private var signal: CheckedContinuation<Void, Never>?

    init(loop: EventLoop) { self.loop = loop }

    func isHome() -> Bool { loop.isCurrent }

    func timers() async -> [String] {
        await withCheckedContinuation { done in
            signal = done
            var ticks = 0
            var ticker: LoopTimer?
            ticker = loop.timer(after: .milliseconds(1), every: .milliseconds(2)) {
                ticks += 1
                self.log.append("tick")
                guard ticks == 3 else { return }
                ticker?.cancel()
                // Only now, so that it comes behind the ticks however late those are.
                self.loop.timer(after: .milliseconds(60)) {
                    self.log.append("end")
                    self.loop.atTurnEnd { self.signal?.resume() }
                }
            }
            let never = loop.timer(after: .milliseconds(20)) { self.log.append("never") }
            never.cancel()
        }
        return log
    }

    func pipe() async -> Bool {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { return false }
        let (reader, writer) = (ends[0], ends[1])
        defer {
            close(reader)
            close(writer)
        }
        var watch: LoopPoll?
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            watch = loop.poll(descriptor: reader) { _ in
                watch?.close()
                done.resume()
            }
            var byte: UInt8 = 1
            write(writer, &byte, 1)
        }
        return true
    }
}

@Suite struct EventLoopTests {
    @Test func anActorLivesOnItsLoop() async {
        let loop = EventLoop(name: "test")
        loop.start()
        let resident = Resident(loop: loop)
        #expect(await resident.isHome())
        #expect(!loop.isCurrent)
        loop.stop()
    }

    @Test func timersFireRepeatAndStop() async {
        let loop = EventLoop(name: "test")
        loop.start()
        #expect(await Resident(loop: loop).timers() == ["tick", "tick", "tick", "end"])
        loop.stop()
    }

    @Test func aWatchedDescriptorWakesTheLoop() async {
        let loop = EventLoop(name: "test")
        loop.start()
        #expect(await Resident(loop: loop).pipe())
        loop.stop()
    }

    @Test func postsFromManyThreadsAllArriveInTheirOrder() async {
        let loop = EventLoop(name: "test")
        loop.start()
        let seen = Mutex<[Int: [Int]]>([:])
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask { @Sendable in
                    for number in 0..<1_000 { loop.post { seen.withLock { $0[thread, default: []].append(number) } } }
                    await withCheckedContinuation { done in loop.post { done.resume() } }
                }
            }
        }
        #expect(seen.withLock { $0 } == Dictionary(uniqueKeysWithValues: (0..<4).map { ($0, Array(0..<1_000)) }))
        loop.stop()
    }

    @Test func whatIsPostedAfterTheEndIsDropped() async {
        let loop = EventLoop(name: "test")
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let worker = WorkerThread(name: "runner")
            worker.run {
                loop.run()
                done.resume()
            }
            loop.stop()
            worker.stop()
        }
        loop.post { Issue.record("the loop has ended") }
    }

    @Test func aLoopMayEndWhileOthersPost() async throws {
        for _ in 0..<300 {
            let loop = EventLoop(name: "ending")
            let posting = Mutex(0)
            let workers = (0..<3).map { _ in WorkerThread(name: "poster") }
            for worker in workers {
                worker.run { for _ in 0..<400 { loop.post { posting.withLock { $0 += 1 } } } }
            }
            loop.start()
            while posting.withLock({ $0 }) == 0 { try await Task.sleep(for: .microseconds(20)) }
            loop.stop()
            for worker in workers {
                await withCheckedContinuation { done in worker.run { done.resume() } }
                worker.stop()
            }
        }
    }

    @Test func aWorkerDoesItsWorkInOrderAndStops() async {
        let worker = WorkerThread(name: "worker")
        let seen = Mutex<[Int]>([])
        for number in 0..<100 { worker.run { seen.withLock { $0.append(number) } } }
        await withCheckedContinuation { done in worker.run { done.resume() } }
        worker.stop()
        worker.run { seen.withLock { $0.append(-1) } }
        #expect(seen.withLock { $0 } == Array(0..<100))
    }

    @Test func durationsRoundUpToMilliseconds() {
        #expect(Duration.microseconds(1).wholeMilliseconds == 1)
        #expect(Duration.seconds(-1).wholeMilliseconds == 0)
        #expect(Duration.seconds(7 * 86_400).wholeMilliseconds == 604_800_000)
    }

    /// It changes nothing: not what is there, not who holds it, and beyond the ends not even that is looked at.
    @Test func toFetchAheadTouchesNothing() {
        final class Sleeper { let number: Int; init(_ number: Int) { self.number = number } }
        struct Pair {
            let one: Sleeper
            let other: Sleeper?
        }
        var sleepers = (0..<100).map(Sleeper.init)
        let pairs = sleepers.map { Pair(one: $0, other: $0.number.isMultiple(of: 2) ? $0 : nil) }
        for place in [Int.min, -1, 0, 1, 98, 99, 100, 101, Int.max] {
            sleepers.fetchAhead(place)
            pairs.fetchAhead(place)
            [Sleeper]().fetchAhead(place)
        }
        #expect(sleepers.map(\.number) == Array(0..<100) && pairs.map(\.one.number) == Array(0..<100))
        var alone = [Sleeper(7)]
        alone.fetchAhead(0)
        #expect(isKnownUniquelyReferenced(&alone[0]), "a reference that was counted would have waited for its memory")
        sleepers.removeAll()
        sleepers.fetchAhead(0)
    }
}
