import Centrifuge
import Models
import WebSocket

/// One notification on its way to many clients: its bytes, and the form in which all clients of a transport share them.
struct Publication {
    private let message: [UInt8]
    private let range: Range<Int>
    private var pushTails = PerCodec<[UInt8]>()
    private var eventTail: [UInt8]?
    /// Nil if it is not shorter.
    private var deflatedTails = PerCodec<[UInt8]?>()
    /// The priority, if the sender has said it or if it was read.
    private var knownPriority: Priority?

    /// A notification, JSON on one line.
    init(_ bytes: [UInt8]) { self.init(bytes, bytes.indices) }

    /// A notification that is a part of a batch. It is copied once for each transport, when the first recipient of that
    /// transport asks.
    init(_ message: [UInt8], _ range: Range<Int>) {
        self.message = message
        self.range = range
    }

    /// Notes the priority that the sender has named, so that it need not be read.
    mutating func isOf(_ priority: Priority?) { if let priority { knownPriority = priority } }

    /// Its JSON.
    var notification: ArraySlice<UInt8> { message[range] }

    /// The notification's priority. If the sender did not name it, it is read from the first members. Every writer of
    /// notifications puts it there, and the rest is not looked at.
    mutating func priority() -> Priority {
        let priority = knownPriority ?? statedPriority() ?? .normal
        knownPriority = priority
        return priority
    }

    /// The priority that stands among the first members of the notification; nil if none does.
    func statedPriority() -> Priority? {
        let line = message.span.extracting(range)
        var at = 0
        do throws(JSONError) {
            var members = try JSONMembers(line, &at)
            for _ in 0..<4 {
                guard let name = try members.next(line, &at) else { return nil }
                guard JSONKey(line, name) == .priority else {
                    _ = try JSON.value(line, &at)
                    continue
                }
                return Priority(line, try JSON.string(line, &at))
            }
        } catch {
            return nil
        }
        return nil
    }

    private func copy(reserving more: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count + more)
        bytes.append(contentsOf: message[range])
        return bytes
    }

    /// The notification and what closes a WebSocket push behind it.
    mutating func tail(_ codec: Codec) -> [UInt8] {
        let (message, range) = (message, range)
        return pushTails.value(codec) { InboxPublication.tail(codec, message[range]) }
    }

    /// The same, compressed; nil if that is not shorter.
    mutating func deflatedTail(_ codec: Codec, _ deflate: MessageDeflate) -> [UInt8]? {
        let tail = tail(codec)
        return deflatedTails.value(codec) { deflate.compress(tail) }
    }

    /// The notification and the end of the event behind it. A line break in the notification would begin another field of the
    /// event. In JSON a line break is only possible between tokens, so it is replaced by a blank.
    mutating func eventStreamTail() -> [UInt8] {
        if let eventTail { return eventTail }
        var made = copy(reserving: 2)
        for index in made.indices where made[index] == 0x0A || made[index] == 0x0D || made[index] == 0 {
            made[index] = 0x20
        }
        made.append(0x0A)
        made.append(0x0A)
        eventTail = made
        return made
    }
}

extension JSONKey {
    static let priority = JSONKey("priority")
}
