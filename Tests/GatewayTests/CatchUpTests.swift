import Foundation
import Models
import Store
import TestSupport
import Testing

@testable import Gateway

/// A stream that grows, forgets and is replaced, without a Redis.
private final class Stream {
    var epoch: UInt64 = 7
    var top: UInt64 = 0
    var floor: UInt64 = 1
    var deleted: Set<UInt64> = []

    func page(after position: StreamPosition, limit: Int) -> InboxPage {
        let recovered = position.epoch == epoch && position.offset <= top && position.offset + 1 >= floor
        let state = InboxState(epoch: epoch, offset: top, floor: floor, unread: 0)
        guard recovered, position.offset < top else {
            return InboxPage(state: state, recovered: recovered, isComplete: true, entries: [])
        }
        let stored = (position.offset + 1...top).filter { $0 >= floor && !deleted.contains($0) }
        let entries = stored.prefix(limit).map { InboxEntry(offset: $0, id: [], bytes: [0], appended: 0, accepted: 0) }
        return InboxPage(state: state, recovered: true, isComplete: entries.count == stored.count, entries: Array(entries))
    }
}

/// A reader as a client with a rate is one: it can be full, has room for so many entries at a time, and has had some ahead.
private final class Reader: StreamReader {
    let stream: Stream
    var session: Session
    var hasEnded = false
    var isFull = false
    /// Entries that may be written before it is full; nil: any number.
    var room: Int?
    var ahead: Set<UInt64> = []
    var hasRoom = true
    var pageLimit = 3
    private(set) var written: [UInt64] = []
    private(set) var isLost = false
    private(set) var failures = 0
    private(set) var ended = 0
    private(set) var taken = 0
    /// How many entries were written when each page ended.
    private(set) var pageEnds: [Int] = []
    /// Reads that are under way: the page as it was when it was read, and who waits for it.
    private var reads: [(page: InboxPage, reply: (InboxPage?) -> Void)] = []

    init(_ stream: Stream) {
        self.stream = stream
        session = Session(at: StreamPosition(epoch: stream.epoch, offset: stream.top))
        _ = session.verify(isFull: false)
        session.readFailed()
    }

    var isHeld: Bool { isFull || room == 0 }
    var isReading: Bool { !reads.isEmpty }

    func requestPage(_ reply: @escaping (InboxPage?) -> Void) {
        reads.append((stream.page(after: session.position, limit: pageLimit), reply))
    }

    func hasRoom(for bytes: Int) -> Bool { hasRoom }

    func admits(_ offset: UInt64) -> EntryAdmission {
        if room == 0 { return .stop }
        if ahead.remove(offset) != nil { return .skip }
        if let left = room { room = left - 1 }
        return .write
    }

    func write(_ entry: InboxEntry, at position: StreamPosition, now: Int64) { written.append(position.offset) }
    func pageIsWritten() { pageEnds.append(written.count) }
    func pageIsTaken(_ state: InboxState) { taken += 1 }
    func lose() { isLost = true }
    func readFailed() { failures += 1 }
    func readEnded() { ended += 1 }

    /// Answers the oldest read; false if there is none.
    func answer(fails: Bool = false) -> Bool {
        guard !reads.isEmpty else { return false }
        let read = reads.removeFirst()
        read.reply(fails ? nil : read.page)
        return true
    }

    func sentAhead(_ offset: UInt64) {
        ahead.insert(offset)
        written.append(offset)
    }

    func announced(_ offset: UInt64) {
        let verdict = session.announced(StreamPosition(epoch: stream.epoch, offset: offset), isFull: isHeld)
        if verdict == .send { written.append(offset) }
        perform(verdict)
    }
}

/// The one loop that brings whoever reads up to its stream.
@Suite struct CatchUpTests {
    @Test func pagesFollowEachOtherUntilNothingMoreIsKnown() {
        let stream = Stream()
        let reader = Reader(stream)
        stream.top = 7
        reader.perform(reader.session.verify(isFull: false))
        var pages = 0
        while reader.answer() { pages += 1 }
        #expect(reader.written == Array(1...7) && reader.session.phase == .live && pages == 3)
        #expect(reader.taken == 3 && reader.ended == 3 && reader.pageEnds == [3, 6, 7])
    }

    @Test func aPageEndsWhereThereIsNoRoomAndGoesOnThere() {
        let stream = Stream()
        let reader = Reader(stream)
        stream.top = 3
        reader.room = 2
        reader.perform(reader.session.verify(isFull: false))
        #expect(reader.answer() && reader.written == [1, 2] && reader.session.phase == .waiting)
        reader.room = nil
        reader.perform(reader.session.drained())
        #expect(reader.answer() && reader.written == [1, 2, 3] && reader.session.phase == .live)
    }

    @Test func whatWentAheadIsPassedOver() {
        let stream = Stream()
        let reader = Reader(stream)
        stream.top = 3
        reader.sentAhead(2)
        reader.perform(reader.session.verify(isFull: false))
        #expect(reader.answer() && reader.written == [2, 1, 3] && reader.session.position.offset == 3)
    }

    /// A page that begins further back, as a registration's may: what was written before takes none of the room.
    @Test func whatWasWrittenBeforeTakesNoRoom() {
        let stream = Stream()
        let reader = Reader(stream)
        stream.top = 2
        reader.perform(reader.session.verify(isFull: false))
        #expect(reader.answer() && reader.written == [1, 2])
        stream.top = 3
        reader.room = 1
        #expect(reader.session.verify(isFull: false) == .read)
        reader.arrived(stream.page(after: StreamPosition(epoch: stream.epoch, offset: 0), limit: 5))
        #expect(reader.written == [1, 2, 3])
    }

    @Test func aPageWithoutRoomIsReadAgain() {
        let stream = Stream()
        let reader = Reader(stream)
        stream.top = 2
        reader.hasRoom = false
        reader.perform(reader.session.verify(isFull: false))
        #expect(reader.answer() && reader.written.isEmpty && reader.session.phase == .waiting && reader.taken == 0)
        reader.hasRoom = true
        reader.perform(reader.session.drained())
        #expect(reader.answer() && reader.written == [1, 2])
    }

    @Test func aReadThatFailedIsSaidAndRepeatedByItsOwner() {
        let reader = Reader(Stream())
        var ends = 0
        #expect(reader.session.verify(isFull: false) == .read)
        reader.readPage { ends += 1 }
        #expect(reader.answer(fails: true) && reader.failures == 1 && reader.ended == 1 && ends == 1)
        #expect(reader.session.phase == .waiting)
        reader.perform(reader.session.verify(isFull: false))
        #expect(reader.answer() && reader.session.phase == .live)
    }

    @Test func whoHasEndedIsNotWrittenTo() {
        let stream = Stream()
        let reader = Reader(stream)
        stream.top = 2
        var ends = 0
        #expect(reader.session.verify(isFull: false) == .read)
        reader.readPage { ends += 1 }
        reader.hasEnded = true
        #expect(reader.answer() && reader.written.isEmpty && reader.ended == 0 && ends == 1)
    }

    @Test func anotherStreamIsALoss() {
        let stream = Stream()
        let reader = Reader(stream)
        stream.epoch = 8
        reader.perform(reader.session.verify(isFull: false))
        #expect(reader.answer() && reader.isLost && reader.taken == 0 && reader.ended == 1)
    }

    /// The law "One position": whatever is announced or lost, delayed, deleted, held back or fails, each entry that still stands is
    /// written once and in order, and in the end nothing is missing.
    @Test func everythingIsWrittenOnceAndInOrder() {
        let seed = TestSeed.announced()
        for round in 0..<300 {
            var random = SeededGenerator(seed: seed &+ UInt64(round))
            let stream = Stream()
            let reader = Reader(stream)
            reader.pageLimit = Int.random(in: 1...4, using: &random)
            var air: [UInt64] = []
            for _ in 0..<200 {
                switch Int.random(in: 0..<100, using: &random) {
                case 0..<30:
                    stream.top += 1
                    if Int.random(in: 0..<10, using: &random) == 0 { stream.deleted.insert(stream.top) }
                    if Int.random(in: 0..<10, using: &random) > 1 { air.append(stream.top) }
                case 30..<55: if !air.isEmpty { reader.announced(air.removeFirst()) }
                case 55..<75: _ = reader.answer()
                case 75..<80: _ = reader.answer(fails: true)
                case 80..<84: reader.isFull.toggle()
                case 84..<88: reader.room = Int.random(in: 0...2, using: &random)
                case 88..<92: reader.room = nil
                case 92..<94: reader.hasRoom.toggle()
                case 94..<97: if !reader.isHeld { reader.perform(reader.session.drained()) }
                default: reader.perform(reader.session.verify(isFull: reader.isHeld))
                }
            }
            (reader.isFull, reader.room, reader.hasRoom) = (false, nil, true)
            for offset in air { reader.announced(offset) }
            while reader.answer() {}
            reader.perform(reader.session.verify(isFull: false))
            while reader.answer() {}
            // One that was announced while it stood may have been deleted since; none may be missing that stands.
            let standing = (1...max(1, stream.top)).filter { $0 <= stream.top && !stream.deleted.contains($0) }
            #expect(Set(standing).isSubset(of: reader.written), "TEST_SEED=\(seed), round \(round)")
            #expect(reader.written == Array(Set(reader.written)).sorted(), "TEST_SEED=\(seed), round \(round)")
            #expect(!reader.isLost && reader.session.phase == .live, "TEST_SEED=\(seed), round \(round)")
        }
    }
}

/// The one walk, over sessions and over channels.
@Suite struct WalkerTests {
    @Test func visitsAllAndBeginsNoMoreThanItsWindow() {
        let seed = TestSeed.announced()
        for round in 0..<100 {
            var random = SeededGenerator(seed: seed &+ UInt64(round))
            var (visited, inFlight, highest, canRead) = (Set<UInt32>(), 0, 0, true)
            var extent: UInt32 = 40
            let reads = (0..<200).map { _ in Int.random(in: 0...1, using: &random) }
            let walker = Walker(window: 3, canRead: { canRead }, extent: { extent }) { place in
                visited.insert(place)
                inFlight += reads[Int(place)]
                highest = max(highest, inFlight)
                return reads[Int(place)]
            }
            walker.start()
            for step in 0..<300 where inFlight > 0 || walker.isWalking {
                if step == 2 { extent += 7 }
                inFlight -= 1
                walker.readEnded()
            }
            #expect(visited == Set(0..<extent) && highest <= 3 && !walker.isWalking, "TEST_SEED=\(seed), round \(round)")
            // What cannot be read is not begun.
            canRead = false
            visited = []
            walker.start()
            #expect(visited.isEmpty && !walker.isWalking)
        }
    }

    @Test func aWalkThatMayNotGoOnStartsFromItsBeginning() {
        var (visited, canRead) = ([UInt32](), true)
        let walker = Walker(window: 1, canRead: { canRead }, extent: { 3 }) { place in
            visited.append(place)
            return 1
        }
        walker.start()
        walker.start()
        walker.readEnded()
        canRead = false
        walker.readEnded()
        #expect(visited == [0, 1] && !walker.isWalking)
        canRead = true
        walker.start()
        for _ in 0..<3 { walker.readEnded() }
        #expect(visited == [0, 1, 0, 1, 2] && !walker.isWalking)
    }

    @Test func aStartThatComesTooEarlyLeavesAWalkAsItIs() {
        var (visited, canRead) = ([UInt32](), true)
        let walker = Walker(window: 1, canRead: { canRead }, extent: { 3 }) { place in
            visited.append(place)
            return 1
        }
        walker.start()
        canRead = false
        walker.start()
        canRead = true
        for _ in 0..<3 { walker.readEnded() }
        #expect(visited == [0, 1, 2] && !walker.isWalking)
    }
}
