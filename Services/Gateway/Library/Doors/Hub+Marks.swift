import Centrifuge
import Models
import Redis
import Store

// What a person has read, and how her other devices hear of it.
extension Hub {
    /// Changes marks and tells all of the person's devices, those at this gateway among them.
    func mark(_ call: Call, of person: PersonID, _ reply: @escaping (Result<InboxCounts, StoreError>) -> Void) {
        let done = { [self] (result: Result<Marked, StoreError>) in
            if case .success(let marked) = result { announce(marked) }
            reply(result.map(\.counts))
        }
        switch call {
        case .read(let selection): inbox.markRead(selection, of: person, reply: done)
        case .unread(let ids): inbox.markUnread(ids, of: person, reply: done)
        case .archive(let ids): inbox.archive(ids, of: person, reply: done)
        default: preconditionFailure("a call that marks nothing")
        }
    }

    /// One control line for each gateway that holds one of the person's connections. It is sent also where nothing has changed:
    /// whoever asked before may have died before this ("Repeating changes nothing"). A client that knows the revision is not told.
    private func announce(_ marked: Marked) {
        let routes = marked.routes.compactMap { ConnectionID(String(decoding: $0, as: UTF8.self)) }
        guard !routes.isEmpty else { return }
        let line = Control.readLine(marked.counts)
        var batches: [InstanceID: GatewayBatch] = [:]
        for route in routes {
            let local = LocalConnection(index: route.index, generation: route.generation)
            batches[route.instance, default: GatewayBatch()].recipient(local, nil, accepted: 0)
        }
        for (instance, var batch) in batches {
            batch.end(line, line.indices)
            // One that is lost is noticed by its number; one that Redis did not take, when Redis is back.
            gateways.publish(batch.take(), to: instance) { _ in }
        }
    }
}
