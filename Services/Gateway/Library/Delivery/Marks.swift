import Centrifuge
import Models
import Store

/// What a person has read, and how her other devices hear of it. Loop thread only.
final class Marks {
    private let inbox: Inbox
    private let announcer: Announcer

    init(inbox: Inbox, announcer: Announcer) {
        self.inbox = inbox
        self.announcer = announcer
    }

    /// Changes marks and tells all of the person's devices, those at this gateway among them.
    func mark(_ call: Call, of person: PersonID, _ reply: @escaping (Result<InboxCounts, StoreError>) -> Void) {
        let done = { [self] (result: Result<Marked, StoreError>) in
            if case .success(let marked) = result { announcer.announce(marked) }
            reply(result.map(\.counts))
        }
        switch call {
        case .read(let selection): inbox.markRead(selection, of: person, reply: done)
        case .unread(let ids): inbox.markUnread(ids, of: person, reply: done)
        case .archive(let ids): inbox.archive(ids, of: person, reply: done)
        default: preconditionFailure("a call that marks nothing")
        }
    }
}
