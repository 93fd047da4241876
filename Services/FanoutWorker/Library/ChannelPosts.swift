import Lanes
import Models
import Store

/// What a batch has for the streams of channels: one entry for each post. Posts of one channel wait for each other, so that
/// they keep their order. Pure.
struct ChannelPosts {
    /// A channel's place.
    typealias Line = Lanes<ChannelID>.Slot

    /// One call of `append` and what follows it.
    struct Call {
        var posts: [Delivery] = []
        /// Publishes that are not answered yet.
        var unanswered = 0
    }

    private var lanes: Lanes<ChannelID>
    /// By the channel's place.
    private var calls: [Call] = []

    init(_ bounds: LaneBounds) { lanes = Lanes(bounds) }

    /// Nothing is waiting or under way.
    var isEmpty: Bool { lanes.isEmpty }

    func channel(_ line: Line) -> ChannelID { lanes.key(line) }

    /// A record for a channel.
    mutating func admit(_ record: Int, bytes: Int, to channel: ChannelID) {
        if lanes.add(record, bytes: bytes, for: channel) == calls.count { calls.append(Call()) }
    }

    /// A call that may be made now; `post` names a record's bytes. Nil if there is none.
    mutating func next(_ hold: Hold, _ post: (Int) -> Delivery) -> (line: Line, call: Call)? {
        guard let line = lanes.next(hold) else { return nil }
        if calls[line].posts.isEmpty { lanes.forEachRecord(of: line) { calls[line].posts.append(post($0)) } }
        return (line, calls[line])
    }

    /// The append was answered, and so many gateways are to be told. Answers the call, which is to be published.
    mutating func appended(_ line: Line, gateways: Int) -> Call {
        calls[line].unanswered = gateways
        let call = calls[line]
        if gateways == 0 { end(line) }
        return call
    }

    /// One of the publishes was answered. A gateway that did not hear it notices that, and reads the stream.
    mutating func published(_ line: Line) {
        calls[line].unanswered -= 1
        if calls[line].unanswered == 0 { end(line) }
    }

    /// The append failed.
    mutating func failed(_ line: Line, isOutage: Bool) -> Lanes<ChannelID>.Verdict {
        let verdict = lanes.failed(line, isOutage: isOutage)
        if case .givenUp = verdict { calls[line] = Call() }
        return verdict
    }

    private mutating func end(_ line: Line) {
        calls[line] = Call()
        lanes.end(line)
    }
}
