import Centrifuge
import Models
import Store

/// Marks entries of an inbox as read or unread, and tells the person's devices. Loop thread only.
final class Marks {
    private let inbox: Inbox
    private let announcer: Announcer

    init(inbox: Inbox, announcer: Announcer) {
        self.inbox = inbox
        self.announcer = announcer
    }

    /// Changes marks and tells all devices of the person, at this gateway and at others.
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
