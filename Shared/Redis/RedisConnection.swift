internal import EventLoop
internal import Network

/// One connection's life: commands out in one write a turn, replies in, first come first answered. Loop thread only.
final class RedisConnection: ByteStreamHandler {
    typealias Reply = (Result<RedisValue, RedisError>) -> Void

    /// It ended by itself; called once, before the commands in flight fail, and not after `close`.
    var onEnd: ((String) -> Void)?
    /// Takes what is no reply to a command; answers whether it took it.
    var onPush: ((RedisValue) -> Bool)?
    /// Redis refused a command, with these words; before the command's own reply.
    var onError: ((String) -> Void)?
    /// Nothing was heard yet: what ends it then may be the wrong protocol.
    private(set) var isSilent = true
    /// When anything was last heard, in the loop's ms.
    private(set) var lastHeard: UInt64

    private struct InFlight {
        let reply: Reply
        /// In `ran`'s ms.
        let sentAt: UInt64
    }

    private let loop: EventLoop
    private let stream: ByteStream
    private let limits: RedisLimits
    private let timeout: UInt64
    private let reader = ReplyReader()
    private var writer = RESPWriter()
    private var inFlight = FIFO<InFlight>()
    private var awaitsFlush = false
    private var isOpen = true
    private var deadline: LoopTimer?
    /// When `deadline` is due, in the loop's ms.
    private var looksAt: UInt64 = 0
    /// The ms by which looks came late: this process, if not the whole machine, was held up, and says nothing about Redis.
    private var heldUp: UInt64 = 0
    /// The command at the head was overdue when last looked at.
    private var isOverdue = false

    init(loop: EventLoop, stream: ByteStream, limits: RedisLimits) {
        self.loop = loop
        self.stream = stream
        self.limits = limits
        timeout = UInt64(max(1, limits.commandTimeout / .milliseconds(1)))
        lastHeard = loop.now
        stream.handler = self
        stream.resumeReading()
    }

    var commandsInFlight: Int { inFlight.count }
    var isFull: Bool { inFlight.count >= limits.maxInFlight || stream.queuedBytes + writer.count > limits.maxQueuedBytes }

    // MARK: Commands

    /// Writes one command and keeps its place in the line. `reply` comes later, never within this call.
    func send(arguments: Int, _ write: (inout RESPWriter) -> Void, _ reply: @escaping Reply) {
        writer.begin(arguments: arguments)
        write(&writer)
        assert(writer.missing == 0, "the command lacks \(writer.missing) arguments")
        inFlight.append(InFlight(reply: reply, sentAt: ran))
        if deadline == nil { watch(after: timeout) }
        scheduleFlush()
    }

    func send(_ arguments: [String], _ reply: @escaping Reply) {
        send(arguments: arguments.count, { writer in for argument in arguments { writer.argument(argument) } }, reply)
    }

    private func scheduleFlush() {
        guard !awaitsFlush else { return }
        awaitsFlush = true
        loop.atTurnEnd { self.flush() }
    }

    private func flush() {
        awaitsFlush = false
        guard isOpen, writer.count > 0 else { return }
        stream.write(writer.take())
    }

    // MARK: Replies

    func received(_ bytes: Span<UInt8>) {
        guard isOpen else { return }
        lastHeard = loop.now
        // RFC 8446 section 5.1: an alert, the answer of a port that speaks TLS to a command that is none.
        if isSilent, !bytes.isEmpty, bytes[0] == 0x15 { return end("it speaks TLS, so its URL begins with rediss://") }
        isSilent = false
        do {
            try reader.feed(bytes)
            while isOpen, let value = try reader.next() { take(value) }
        } catch {
            end("it sent something that is no RESP")
        }
    }

    private func take(_ value: RedisValue) {
        if let onPush, onPush(value) { return }
        guard let first = inFlight.removeFirst() else { return end("it sent a reply to nothing") }
        isOverdue = false
        guard case .error(let text) = value else { return first.reply(.success(value)) }
        onError?(text)
        first.reply(.failure(.server(text)))
        // A primary that has become a replica stays one: where the primary is now, a new connection finds out.
        if text.hasPrefix("READONLY") { end("it is a replica") }
    }

    // MARK: Deadlines

    /// The loop's ms, without those for which it stood still between two looks.
    private var ran: UInt64 { loop.now - heldUp }

    /// Looks four times within a time-out, so that of a standstill no more than a quarter of it counts.
    private func watch(after milliseconds: UInt64) {
        let pause = min(milliseconds, max(1, timeout / 4))
        looksAt = loop.now + pause
        deadline = loop.timer(after: .milliseconds(Int64(pause))) { self.look() }
    }

    private func look() {
        deadline = nil
        heldUp += loop.now - min(looksAt, loop.now)
        guard isOpen, let first = inFlight.first else { return }
        let due = first.sentAt + timeout
        if ran < due {
            watch(after: due - ran)
        } else if !isOverdue {
            // Timers run before sockets are read: if this process itself was held up, the reply may be waiting there.
            isOverdue = true
            watch(after: 20)
        } else {
            end("no answer within \(limits.commandTimeout)", first: .timedOut)
        }
    }

    // MARK: The end

    func drained() {}

    func closed(_ reason: StreamClosure) {
        end(reason.reason)
    }

    /// Ends it from our side; what is in flight fails as `disconnected`.
    func close() {
        onEnd = nil
        end("closed")
    }

    private func end(_ reason: String, first: RedisError = .disconnected) {
        guard isOpen else { return }
        isOpen = false
        deadline?.cancel()
        deadline = nil
        stream.close()
        onPush = nil
        onError = nil
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?(reason)
        var error = first
        while let waiting = inFlight.removeFirst() {
            waiting.reply(.failure(error))
            error = .disconnected
        }
    }
}

/// A queue whose both ends are cheap.
struct FIFO<Element> {
    private var elements: ContiguousArray<Element?> = []
    private var head = 0

    var count: Int { elements.count - head }
    var first: Element? { head < elements.count ? elements[head] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        elements[head] = nil
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: head <= 4_096)
            head = 0
        } else if head >= 1_024, head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }
}
