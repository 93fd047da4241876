import Models
import TestSupport
import Testing

@testable import Gateway

/// An inbox, a lossy announcer, a slow reader and the session between them, driven at random.
private struct World {
    var random: SeededGenerator
    var epoch: UInt64 = 7
    var floor: UInt64 = 1
    var top: UInt64 = 0
    var deleted: Set<UInt64> = []
    var session = Session()
    /// Announcements that are under way, in order.
    var air: [StreamPosition] = []
    /// A read that is under way, as the script answered it, and whether it is the registration.
    var page: Page?
    var sent: [UInt64] = []
    var isFull = false
    var isLost = false
    var start: UInt64 = 0

    struct Page {
        var epoch: UInt64
        var recovered: Bool
        var entries: [UInt64]
        var top: UInt64
        var isComplete: Bool
    }

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func read() {
        let after = session.position.offset
        let limit = Int.random(in: 1...4, using: &random)
        let recovered = session.position.epoch == epoch && after <= top && after + 1 >= floor
        let stored = (after..<max(after, top)).map { $0 + 1 }.filter { $0 >= floor && !deleted.contains($0) }
        let taken = recovered ? Array(stored.prefix(limit)) : []
        page = Page(
            epoch: epoch, recovered: recovered, entries: taken, top: top, isComplete: taken.count == stored.count)
    }

    mutating func perform(_ verdict: Session.Verdict, _ offset: UInt64 = 0) {
        switch verdict {
        case .send: sent.append(offset)
        case .keep: break
        case .read: read()
        case .lose: isLost = true
        }
    }

    mutating func answerRead() {
        guard let answer = page else { return }
        page = nil
        let verdict = session.pageBegins(epoch: answer.epoch, recovered: answer.recovered)
        guard verdict == .read else { return perform(verdict) }
        if isFull, chance(30) { return session.postponed() }
        for offset in answer.entries { perform(session.entry(offset), offset) }
        perform(session.pageEnds(top: answer.top, isComplete: answer.isComplete, isFull: isFull))
    }

    mutating func append() {
        top += 1
        if chance(10) { deleted.insert(top) }
        if !chance(20) { air.append(StreamPosition(epoch: epoch, offset: top)) }  // else its batch is lost
    }

    mutating func hear() {
        guard !air.isEmpty else { return }
        let index = chance(80) ? 0 : Int.random(in: 0..<air.count, using: &random)
        let message = chance(90) ? air.remove(at: index) : air[index]  // sometimes heard twice
        perform(session.announced(message, isFull: isFull), message.offset)
    }

    mutating func step() {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30: append()
        case 30..<60: hear()
        case 60..<80: answerRead()
        case 80..<84: isFull = true
        case 84..<90: drain()
        case 90..<94: perform(session.verify(isFull: isFull))
        case 94..<97: if page != nil { failRead() }
        default: if page == nil, session.registerAgain() { read() }
        }
    }

    mutating func drain() {
        guard isFull else { return }
        isFull = false
        perform(session.drained())
    }

    mutating func failRead() {
        page = nil
        session.readFailed()
    }

    mutating func settle() {
        drain()
        while page != nil || !air.isEmpty {
            answerRead()
            hear()
        }
        perform(session.verify(isFull: false))
        while page != nil { answerRead() }
    }
}

@Suite struct SessionTests {
    @Test func everyEntryOnceInOrderUnderAnyInterleaving() {
        let seed = TestSeed.announced()
        for round in 0..<2_000 {
            var world = World(seed: seed &+ UInt64(round))
            world.top = UInt64.random(in: 0...6, using: &world.random)
            world.start = UInt64.random(in: 0...world.top, using: &world.random)
            world.session.begin(at: StreamPosition(epoch: world.epoch, offset: world.start))
            world.read()
            for _ in 0..<200 {
                world.step()
                if world.isLost { break }
            }
            world.settle()
            let expected = (world.start..<world.top).map { $0 + 1 }.filter { !world.deleted.contains($0) }
            // A message may be heard before somebody deletes its entry, so what was sent may hold deleted ones.
            let kept = world.sent.filter { !world.deleted.contains($0) }
            #expect(kept == expected, "TEST_SEED=\(seed) round \(round)")
            #expect(world.sent == world.sent.sorted() && Set(world.sent).count == world.sent.count)
            #expect(world.session.phase == .live && !world.isLost, "TEST_SEED=\(seed) round \(round)")
        }
    }

    @Test func announcementsBeforeTheRegistrationsAnswerAreNotForgotten() {
        var session = Session()
        #expect(session.announced(StreamPosition(epoch: 5, offset: 3), isFull: false) == .keep)
        session.begin(at: StreamPosition(epoch: 5, offset: 2))
        #expect(session.pageBegins(epoch: 5, recovered: true) == .read)
        #expect(session.pageEnds(top: 2, isComplete: true, isFull: false) == .read)
        #expect(session.pageBegins(epoch: 5, recovered: true) == .read)
        #expect(session.entry(3) == .send)
        #expect(session.pageEnds(top: 3, isComplete: true, isFull: false) == .keep)
        #expect(session.phase == .live)
    }

    @Test func aGapIsReadAndAnOldMessageDropped() {
        var session = live(at: 10)
        #expect(session.announced(StreamPosition(epoch: 5, offset: 10), isFull: false) == .keep)
        #expect(session.announced(StreamPosition(epoch: 5, offset: 11), isFull: false) == .send)
        #expect(session.announced(StreamPosition(epoch: 5, offset: 13), isFull: false) == .read)
        #expect(session.announced(StreamPosition(epoch: 5, offset: 14), isFull: false) == .keep)
        #expect(session.position.offset == 11)
    }

    @Test func aFullSocketReadsOnlyWhenItHasDrained() {
        var session = live(at: 10)
        #expect(session.announced(StreamPosition(epoch: 5, offset: 11), isFull: true) == .keep)
        #expect(session.announced(StreamPosition(epoch: 5, offset: 12), isFull: false) == .keep)
        #expect(session.drained() == .read)
        #expect(session.drained() == .keep)
        #expect(session.pageBegins(epoch: 5, recovered: true) == .read)
        session.postponed()
        #expect(session.phase == .waiting && session.position.offset == 10)
        #expect(session.drained() == .read)
    }

    @Test func trimmedHistoryANewEpochAndAnInboxThatForgotAreLoss() {
        var trimmed = live(at: 10)
        #expect(trimmed.verify(isFull: false) == .read)
        #expect(trimmed.pageBegins(epoch: 5, recovered: false) == .lose)
        #expect(trimmed.announced(StreamPosition(epoch: 5, offset: 11), isFull: false) == .keep)
        var replaced = live(at: 10)
        #expect(replaced.announced(StreamPosition(epoch: 4, offset: 99), isFull: false) == .keep)
        #expect(replaced.announced(StreamPosition(epoch: 6, offset: 1), isFull: false) == .read)
        #expect(replaced.pageBegins(epoch: 6, recovered: false) == .lose)
        var forgotten = live(at: 10)
        #expect(forgotten.announced(StreamPosition(epoch: 5, offset: 13), isFull: false) == .read)
        #expect(forgotten.pageBegins(epoch: 5, recovered: true) == .read)
        #expect(forgotten.pageEnds(top: 12, isComplete: true, isFull: false) == .lose)
    }

    @Test func aSuspicionDuringAReadReadsOnceMore() {
        var session = live(at: 10)
        #expect(session.verify(isFull: false) == .read)
        #expect(session.verify(isFull: false) == .keep)
        #expect(session.pageBegins(epoch: 5, recovered: true) == .read)
        #expect(session.pageEnds(top: 10, isComplete: true, isFull: false) == .read)
        #expect(session.pageBegins(epoch: 5, recovered: true) == .read)
        #expect(session.pageEnds(top: 10, isComplete: true, isFull: false) == .keep)
    }

    @Test func itIsSmall() { #expect(MemoryLayout<Session>.size <= 48) }

    private func live(at offset: UInt64) -> Session {
        var session = Session()
        session.begin(at: StreamPosition(epoch: 5, offset: offset))
        _ = session.pageBegins(epoch: 5, recovered: true)
        _ = session.pageEnds(top: offset, isComplete: true, isFull: false)
        return session
    }
}
