import Lanes
import Models
import ServiceRuntime
import ServiceStore
import Store

// A post is one entry of its channel, for those who look at it now, beside the entries in its members' inboxes.
extension BatchRun {
    /// Makes the calls that may be made.
    func post() {
        while let (line, call) = posts.next(turns.hold, { delivery($0) }) {
            tools.channels.append(call.posts, to: posts.channel(line)) { self.appended(line, $0) }
        }
    }

    /// Takes away what a gateway that is gone for good has left at a channel: one of a version that swept no channels may
    /// have seen it go. What fails is tried at the next post.
    func sweep(_ line: ChannelPosts.Line, _ instance: InstanceID) {
        tools.channels.clean(posts.channel(line), of: instance) { _ in }
    }

    private func appended(_ line: ChannelPosts.Line, _ result: Result<Posted, StoreError>) {
        guard !turns.isOver else { return }
        defer { turns.schedule() }
        switch result {
        case .success(let posted):
            for entry in posted.entries { tools.metrics.posts[entry.isFresh ? .fresh : .repeated].increment() }
            let channel = posts.channel(line)
            let call = posts.appended(line, gateways: posted.watchers.count)
            for instance in posted.watchers {
                let gateway = table.find(instance)
                table.outboxes[gateway].add(call, of: channel, line, epoch: posted.epoch, offsets: posted.entries.map(\.offset))
            }
        case .failure(let error):
            failed(error)
            if case .givenUp(let records) = posts.failed(line, isOutage: error.isOutage) {
                giveUp(records, "the channel does not take it")
            }
        }
    }
}
