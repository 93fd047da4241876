import Models
import Store
import TestSupport
import Testing

@testable import Gateway

@Suite struct FlowControlTests {
    @Test func aWindowOpensWithAcknowledgements() {
        var control = FlowControl()
        func room() -> Int { control.room(now: 0) }
        func waits() -> Bool { control.waitsForTime(now: 0) }
        #expect(room() == .max)
        control.limit(window: 2)
        control.sent(4, now: 0)
        control.sent(7, now: 0)
        #expect(room() == 0)
        #expect(!waits())
        control.acknowledged(6)
        #expect(room() == 1)
        // Offsets that were stepped over are not waited for.
        control.acknowledged(90)
        #expect(room() == 2)
        control.limit(window: 0)
        #expect(room() == .max)
    }

    /// In no second more than the rate, however publications come.
    @Test func aRateHoldsInEverySecond() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        var control = FlowControl()
        control.limit(rate: 5)
        var sent: [UInt64] = []
        var now: UInt64 = 10_000
        for offset in 1...2_000 {
            now += UInt64.random(in: 0...300, using: &random)
            guard control.room(now: now) > 0 else {
                let waits = control.waitsForTime(now: now)
                #expect(waits)
                continue
            }
            control.sent(UInt64(offset), now: now)
            sent.append(now)
        }
        for index in sent.indices.dropFirst(5) { #expect(sent[index] - sent[index - 5] >= 1000, "TEST_SEED=\(seed)") }
        #expect(sent.count > 500)
    }

    @Test func highPriorityGoesAheadOnceAndWithinABound() {
        var control = FlowControl()
        func goes(_ offset: UInt64) -> Bool { control.goesAhead(offset) }
        func went(_ offset: UInt64) -> Bool { control.wentAhead(offset) }
        #expect(!goes(5), "without a rate nothing has to")
        control.limit(rate: 1)
        #expect(goes(5))
        #expect(!goes(5))
        #expect(went(5))
        #expect(!went(5))
        for offset in 0..<FlowControl.maximumAhead { #expect(goes(UInt64(100 + offset))) }
        #expect(!goes(500))
        control.passed(120)
        #expect(goes(500))
        control.isPaused = true
        let room = control.room(now: 0)
        #expect(!goes(501) && room == 0)
    }

    /// What passes the rate does not pass the window; and the flow, which alone can pass what is ahead of it, never stands still for it.
    @Test func whatIsAheadCountsInTheWindow() {
        var control = FlowControl()
        func goes(_ offset: UInt64) -> Bool { control.goesAhead(offset) }
        func room(_ now: UInt64) -> Int { control.room(now: now) }
        control.limit(rate: 1)
        control.limit(window: 3)
        control.sent(1, now: 0)
        #expect(goes(3) && goes(4) && !goes(5), "one in the flow and two ahead of it")
        #expect(room(1_000) == 0)
        control.acknowledged(1)
        #expect(room(1_000) == 1)
        control.sent(2, now: 1_000)
        #expect(room(2_000) == 0)
        control.passed(3)
        #expect(room(2_000) == 1 && goes(6))
        control.limit(window: 1)
        #expect(room(2_000) == 0)
        control.acknowledged(2)
        #expect(room(2_000) == 1 && !goes(7), "two are ahead, and nothing else is unacknowledged")
        control.sent(5, now: 2_000)
        #expect(room(3_000) == 0)
    }

    @Test func priorityIsReadFromTheFirstMembers() {
        func isHigh(_ text: String) -> Bool {
            var publication = Publication(Array(text.utf8))
            return publication.priority() == .high
        }
        #expect(isHigh(#"{"id":"1","type":"a\"b","priority":"high","title":"x"}"#))
        #expect(!isHigh(#"{"id":"1","type":"a","priority":"normal","title":"\"priority\":\"high\""}"#))
        #expect(!isHigh(#"{"id":"1","type":"\"priority\":\"high\"","a":1,"b":2,"c":3,"priority":"high"}"#))
        #expect(!isHigh("{}") && !isHigh("x") && !isHigh(#"{"id":"1","priority":7}"#))
        // Who sent it has said so, and it is not read.
        var stated = Publication(Array("{}".utf8))
        stated.isOf(.low)
        stated.isOf(nil)
        #expect(stated.priority() == .low)
    }

    @Test func aCountIsToldOnceAndNeverAnOlderOne() {
        var session = Session()
        // Before the registration's answer nothing may be said: what it brings is looked at again.
        expect(&session, .keep) { $0.counted(revision: 3, isFull: false) }
        session.begin(at: StreamPosition(epoch: 5, offset: 2))
        session.knows(revision: 2)
        expect(&session, .read) { $0.pageBegins(epoch: 5, recovered: true) }
        expect(&session, .read) { $0.pageEnds(top: 2, isComplete: true, isFull: false) }
        expect(&session, .send) { $0.counted(revision: 3, isFull: false) }
        expect(&session, .keep) { $0.counted(revision: 3, isFull: false) }
        expect(&session, .keep) { $0.counted(revision: 2, isFull: false) }
        expect(&session, .read) { $0.pageBegins(epoch: 5, recovered: true) }
        expect(&session, .keep) { $0.pageEnds(top: 2, isComplete: true, isFull: false) }
        #expect(session.phase == .live)
        // A client that can take nothing is told with the page that it waits for.
        expect(&session, .keep) { $0.counted(revision: 4, isFull: true) }
        #expect(session.phase == .waiting && session.revision == 3)
        expect(&session, .read) { $0.drained() }
        expect(&session, .send) { $0.counted(revision: 4, isFull: false) }
        // An answer that was overtaken makes nothing new again.
        session.knows(revision: 3)
        expect(&session, .keep) { $0.counted(revision: 4, isFull: false) }
    }

    private func expect(
        _ session: inout Session, _ expected: Session.Verdict, _ event: (inout Session) -> Session.Verdict,
        at location: SourceLocation = #_sourceLocation
    ) {
        let verdict = event(&session)
        #expect(verdict == expected, sourceLocation: location)
    }

    @Test func controlLinesAreRead() throws {
        func control(_ text: String) throws -> Control { try Control.decode(Array(text.utf8).span) }
        #expect(try control(#"{"read":{"unread":3,"revision":7,"x":1}}"#) == .read(InboxCounts(unread: 3, revision: 7)))
        #expect(try control(#"{"later":{}}"#) == .unknown)
        #expect(throws: JSONError.self) { try control("nonsense") }
        #expect(Control.readLine(InboxCounts(unread: 3, revision: 7)) == Array(#"{"read":{"unread":3,"revision":7}}"#.utf8))
    }
}
