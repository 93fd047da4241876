import Models
import Store

/// What a batch has for the streams of channels: one entry for each post. Posts of one channel wait for each other, so that
/// they keep their order. Pure.
struct ChannelPosts {
    /// The place of a channel.
    typealias Line = Int

    /// One call of `append` and what follows it.
    struct Call {
        var posts: [Delivery] = []
        var size = 0
        /// Indexes of the batch's notifications, in order.
        var records: [Int] = []
        /// Publishes that are not answered yet.
        var unanswered = 0
        var failures = 0
    }

    private struct Channel {
        let id: ChannelID
        var waiting: [Int] = []
        var call = Call()
    }

    enum Step: Equatable {
        /// Make the call again.
        case again
        /// The call has failed by its own fault as often as it may. These records become dead letters.
        case giveUp([Int])
    }

    private var lines: [ChannelID: Line] = [:]
    private var channels: [Channel] = []
    /// The lines whose call is to be made next, in order.
    private var ready: [Line] = []
    private var busy = 0

    /// Nothing is waiting or under way.
    var isEmpty: Bool { busy == 0 }

    func channel(_ line: Line) -> ChannelID { channels[line].id }

    /// A record for a channel.
    mutating func admit(_ record: Int, to channel: ChannelID) {
        let line: Line
        if let known = lines[channel] {
            line = known
        } else {
            line = channels.count
            lines[channel] = line
            channels.append(Channel(id: channel))
        }
        let isIdle = channels[line].waiting.isEmpty && channels[line].call.records.isEmpty
        channels[line].waiting.append(record)
        guard isIdle else { return }
        busy += 1
        ready.append(line)
    }

    /// A call that may be made now, with posts that wait. `post` answers a record's bytes. Nil if there is no such call.
    mutating func next(callBytes: Int, _ post: (Int) -> Delivery) -> (line: Line, call: Call)? {
        guard !ready.isEmpty else { return nil }
        let line = ready.removeFirst()
        if channels[line].call.records.isEmpty { fill(line, callBytes, post) }
        return (line, channels[line].call)
    }

    private mutating func fill(_ line: Line, _ callBytes: Int, _ post: (Int) -> Delivery) {
        var call = Call()
        for record in channels[line].waiting.prefix(ChannelStreams.maximumItems) {
            let next = post(record)
            guard call.size == 0 || call.size + next.range.count <= callBytes else { break }
            call.posts.append(next)
            call.records.append(record)
            call.size += next.range.count
        }
        channels[line].waiting.removeFirst(call.records.count)
        channels[line].call = call
    }

    /// The append was answered, and so many gateways are to be told. Answers the call, which is to be published.
    mutating func appended(_ line: Line, gateways: Int) -> Call {
        channels[line].call.unanswered = gateways
        let call = channels[line].call
        if gateways == 0 { settle(line) }
        return call
    }

    /// One of the publishes was answered. A gateway that did not hear it notices that, and reads the stream.
    mutating func published(_ line: Line) {
        channels[line].call.unanswered -= 1
        if channels[line].call.unanswered == 0 { settle(line) }
    }

    /// The append failed. An outage says nothing about its records, however long it lasts.
    mutating func failed(_ line: Line, isOutage: Bool, attempts: Int) -> Step {
        if !isOutage { channels[line].call.failures += 1 }
        guard channels[line].call.failures >= attempts else {
            ready.append(line)
            return .again
        }
        let records = channels[line].call.records
        settle(line)
        return .giveUp(records)
    }

    private mutating func settle(_ line: Line) {
        channels[line].call = Call()
        if channels[line].waiting.isEmpty { busy -= 1 } else { ready.append(line) }
    }
}
