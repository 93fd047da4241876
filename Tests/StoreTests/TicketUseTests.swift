import Models
import Testing
import Tokens

@testable import Store

@Suite struct TicketUseTests {
    private let key = TagKey()

    private func ticket(start: StreamPosition? = nil, isShown: Bool = false, freshUntil: Int64? = 30_000) -> Ticket {
        Ticket(person: PersonID("ann")!, expires: 600, key: key, freshUntil: freshUntil, start: start, isShown: isShown)
    }

    private func cursor(_ epoch: UInt64, _ offset: UInt64) -> String {
        var bytes = Array(Cursor(StreamPosition(epoch: epoch, offset: offset)).description.utf8)
        key.appendTag(to: &bytes, from: 0)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func firstUses() {
        for shown in [nil, "", "1.1-1", cursor(7, 3), "junk"] {
            #expect(ticket().use(showing: shown, at: 1) != nil, "nobody has used it: \(shown ?? "nil")")
        }
        let begun = ticket(start: StreamPosition(epoch: 7, offset: 3))
        for shown in [nil, "", "1.1-1", "1.7-9"] {
            #expect(begun.use(showing: shown, at: 29_999) == .first)
            #expect(begun.use(showing: shown, at: 30_000) == nil)
        }
        #expect(begun.use(showing: cursor(7, 3), at: 30_000) == .again(StreamPosition(epoch: 7, offset: 3)))
        #expect(begun.use(showing: cursor(7, 2), at: 30_000) == nil)
        #expect(begun.use(showing: cursor(6, 2), at: 30_000) == .again(StreamPosition(epoch: 6, offset: 2)), "another inbox's")
        let shown = ticket(start: StreamPosition(epoch: 7, offset: 3), isShown: true)
        for other in [nil, "", "1.1-1", "1.7-9", cursor(7, 2)] { #expect(shown.use(showing: other, at: 1) == nil) }
        #expect(shown.use(showing: cursor(7, 4), at: 99_999) == .again(StreamPosition(epoch: 7, offset: 4)))
    }

    @Test func whatAUseLeaves() {
        let first = ticket().used(.first, from: StreamPosition(epoch: 7, offset: 5), connection: "g#1.2.3")
        #expect(first.start == StreamPosition(epoch: 7, offset: 5) && first.connection == "g#1.2.3" && !first.isShown)
        #expect(first.used(.first, from: StreamPosition(epoch: 7, offset: 6), connection: "c").start?.offset == 5)
        #expect(first.used(.first, from: StreamPosition(epoch: 7, offset: 4), connection: "c").start?.offset == 4)
        #expect(first.used(.first, from: StreamPosition(epoch: 8, offset: 9), connection: "c").start?.epoch == 8)
        let shown = StreamPosition(epoch: 7, offset: 8)
        let again = first.used(.again(shown), from: StreamPosition(epoch: 7, offset: 9), connection: "c")
        #expect(again.start == shown && again.isShown)
        #expect(Ticket(again.encoded().span) == again)
        #expect(Ticket(ticket(freshUntil: nil).encoded().span) == ticket(freshUntil: nil))
    }
}
