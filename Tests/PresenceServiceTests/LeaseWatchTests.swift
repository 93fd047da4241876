import Models
import Store
import TestSupport
import Testing

@testable import PresenceService

private func instance(_ epoch: UInt64) -> InstanceID { InstanceID(name: "g", epoch: epoch)! }

@Suite struct LeaseWatchTests {
    private let one = instance(1)
    private let two = instance(2)

    private func watch() -> LeaseWatch { LeaseWatch(length: 6_000, patience: 3_000) }

    @Test func standingStillForItsLengthIsDeath() {
        var watch = watch()
        for second in 0..<6 {
            let at = UInt64(second) * 1_000
            let leases = [Lease(instance: one, count: 9), Lease(instance: two, count: UInt64(second))]
            #expect(watch.answered(leases, asked: at, now: at + 5).isEmpty)
        }
        // 6,000 ms after the first sighting, which was at 5.
        #expect(watch.answered([Lease(instance: one, count: 9)], asked: 6_004, now: 6_010).isEmpty)
        #expect(watch.answered([Lease(instance: one, count: 9)], asked: 6_005, now: 6_012) == [.dead(one, count: 9)])
    }

    @Test func anySignOfLifeBeginsAnew() {
        var watch = watch()
        for second in 0..<20 {
            let at = UInt64(second) * 1_000
            // Also a counter that falls: another Redis, an older copy.
            let count: UInt64 = second < 5 ? 50 : second < 10 ? 40 : 41
            #expect(watch.answered([Lease(instance: one, count: count)], asked: at, now: at).isEmpty == (second < 16))
        }
    }

    @Test func anOutageIsNobodysDeath() {
        var watch = watch()
        let leases = [Lease(instance: one, count: 1)]
        for second in 0..<5 { #expect(watch.answered(leases, asked: UInt64(second) * 1_000, now: UInt64(second) * 1_000).isEmpty) }
        watch.failed()
        for second in 10..<16 { #expect(watch.answered(leases, asked: UInt64(second) * 1_000, now: UInt64(second) * 1_000).isEmpty) }
        #expect(watch.answered(leases, asked: 16_000, now: 16_001) == [.dead(one, count: 1)])
    }

    @Test func slowAnswersProveNothing() {
        var watch = watch()
        let leases = [Lease(instance: one, count: 1)]
        // Each takes longer than our patience: the gateway's renewals may wait in the same line.
        for round in 0..<10 {
            let at = UInt64(round) * 4_000
            #expect(watch.answered(leases, asked: at, now: at + 3_900).isEmpty)
        }
        // Answers that are asked for before the sighting they would confirm.
        var other = self.watch()
        #expect(other.answered(leases, asked: 0, now: 2_900).isEmpty)
        #expect(other.answered(leases, asked: 2_900, now: 5_800).isEmpty)
        #expect(other.answered(leases, asked: 5_800, now: 8_700).isEmpty)
        #expect(other.answered(leases, asked: 8_700, now: 8_900).isEmpty)
        #expect(other.answered(leases, asked: 8_900, now: 9_000) == [.dead(one, count: 1)])
    }

    @Test func aClockThatJumpsBeginsAnew() {
        var watch = watch()
        let leases = [Lease(instance: one, count: 1)]
        #expect(watch.answered(leases, asked: 1_000, now: 1_000).isEmpty)
        // This process was stopped, or its machine slept.
        #expect(watch.answered(leases, asked: 100_000, now: 100_000).isEmpty)
        // Backwards it cannot go; if it did, nothing would trap and nobody die.
        #expect(watch.answered(leases, asked: 50, now: 60).isEmpty)
        #expect(watch.answered(leases, asked: 60, now: 50).isEmpty)
        #expect(watch.answered(leases, asked: 0, now: .max).isEmpty)
    }

    @Test func instancesComeAndGo() {
        var watch = watch()
        for second in 0..<5 {
            let at = UInt64(second) * 1_000
            _ = watch.answered([Lease(instance: one, count: 1)], asked: at, now: at)
        }
        // Restarted: another epoch is another instance, and the one that left is forgotten.
        #expect(watch.answered([Lease(instance: two, count: 1)], asked: 5_000, now: 5_000).isEmpty)
        #expect(watch.living == 1)
        for second in 6..<12 {
            let at = UInt64(second) * 1_000
            let leases = [Lease(instance: one, count: 1), Lease(instance: two, count: UInt64(second))]
            #expect(watch.answered(leases, asked: at, now: at).isEmpty)
        }
        let verdicts = watch.answered(
            [Lease(instance: one, count: nil), Lease(instance: two, count: 99)], asked: 12_000, now: 12_000)
        #expect(verdicts == [.condemned(one)] && watch.living == 1)
    }

    /// Random outages, delays and renewals: nobody who renewed within the length, as far as we could see, is dead; and who
    /// really stands still while Redis answers is.
    @Test func neverKillsTheLiving() {
        let seed = TestSeed.announced()
        var generator = SeededGenerator(seed: seed)
        func random(_ bound: UInt64) -> UInt64 { generator.next() % bound }
        var deaths = 0
        for _ in 0..<300 {
            var watch = watch()
            var now: UInt64 = 0
            var count: UInt64 = 0
            var renewedAt: UInt64 = 0
            var answersSince: UInt64?
            let dies = random(2) == 0 ? 20_000 + random(20_000) : .max
            for _ in 0..<80 {
                let asked = now + random(1_500)
                if asked < dies, random(4) > 0 {
                    count += 1
                    renewedAt = asked
                }
                now = asked + random(20) * random(20)
                if random(12) == 0 {
                    watch.failed()
                    answersSince = nil
                    continue
                }
                let verdicts = watch.answered([Lease(instance: one, count: count)], asked: asked, now: now)
                if verdicts.isEmpty == false {
                    deaths += 1
                    #expect(now - renewedAt >= 6_000)
                    #expect(answersSince.map { now - $0 >= 6_000 } == true)
                }
                if answersSince == nil { answersSince = asked }
            }
        }
        #expect(deaths > 0)
    }
}
