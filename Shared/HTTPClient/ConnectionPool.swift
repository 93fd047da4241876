internal import CCurl
internal import CUV
internal import EventLoop

/// Connections to servers and the requests on them: one of libcurl's multi handles, driven by the loop's descriptors and timers.
/// Its client makes another one where this has to be given up. Confined to the loop's thread.
final class ConnectionPool {
    /// A request on one of its connections had no answer in time. Called once, before that request's own completion.
    var onSilence: (() -> Void)?
    /// The last of its requests has ended.
    var onEmpty: (() -> Void)?
    private var isSilent = false
    private let loop: EventLoop
    private let configuration: HTTPClientConfiguration
    private let multi: UnsafeMutableRawPointer
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
    private var idle: [UnsafeMutableRawPointer] = []
    private var polls: [Int32: LoopPoll] = [:]
    private var timer: LoopTimer?
    private var timerDue: UInt64 = 0
    /// When curl wants to be called, in the loop's milliseconds.
    private var due: UInt64?
    private var isActing = false
    private var isClosed = false

    /// libcurl's own start, once a process.
    private static let started: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init(loop: EventLoop, configuration: HTTPClientConfiguration) {
        precondition(Self.started, "libcurl could not be started")
        guard let multi = curl_multi_init() else { preconditionFailure("libcurl has no memory") }
        self.loop = loop
        self.configuration = configuration
        self.multi = multi
        // Unretained: curl calls back only from calls made here, and `deinit` takes the callbacks away first.
        let me = Unmanaged.passUnretained(self).toOpaque()
        _ = carillon_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, me)
        _ = carillon_multi_set_pointer(multi, CURLMOPT_TIMERDATA, me)
        _ = carillon_multi_set_socket(multi) { _, descriptor, what, me, _ in
            guard let me else { return -1 }
            Unmanaged<ConnectionPool>.fromOpaque(me).takeUnretainedValue().watch(descriptor, what)
            return 0
        }
        _ = carillon_multi_set_timer(multi) { _, milliseconds, me in
            guard let me else { return -1 }
            Unmanaged<ConnectionPool>.fromOpaque(me).takeUnretainedValue().schedule(milliseconds)
            return 0
        }
        _ = carillon_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, configuration.maximumConnections)
        _ = carillon_multi_set_long(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, configuration.maximumStreams)
    }

    deinit {
        close()
    }

    /// Requests that have not ended.
    var inFlight: Int { transfers.count }

    /// `completion` is called once, on the loop, never within this call.
    func send(
        _ request: HTTPClientRequest, _ completion: @escaping (Result<HTTPClientResponse, HTTPClientError>) -> Void
    ) {
        guard let easy = idle.popLast() ?? curl_easy_init() else {
            loop.atTurnEnd { completion(.failure(.overloaded)) }
            return
        }
        let transfer = Transfer(easy, maximumAnswer: configuration.maximumAnswer, completion)
        transfer.prepare(request, configuration)
        transfers[easy] = transfer
        curl_multi_add_handle(multi, easy)
    }

    /// Ends everything: what is under way answers `closed`. A second call does nothing.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        _ = carillon_multi_set_socket(multi, nil)
        _ = carillon_multi_set_timer(multi, nil)
        for poll in polls.values { poll.close() }
        polls = [:]
        timer?.cancel()
        timer = nil
        let ended = transfers
        transfers = [:]
        for easy in ended.keys {
            curl_multi_remove_handle(multi, easy)
            curl_easy_cleanup(easy)
        }
        for easy in idle { curl_easy_cleanup(easy) }
        idle = []
        curl_multi_cleanup(multi)
        for transfer in ended.values { transfer.completion(.failure(.closed)) }
    }

    // MARK: What curl asks for

    private func watch(_ descriptor: Int32, _ what: Int32) {
        guard what != CURL_POLL_REMOVE else {
            polls.removeValue(forKey: descriptor)?.close()
            return
        }
        var events: LoopPoll.Events = []
        if what & CURL_POLL_IN != 0 { events.insert(.readable) }
        if what & CURL_POLL_OUT != 0 { events.insert(.writable) }
        if let poll = polls[descriptor] { return poll.watch(events) }
        polls[descriptor] = loop.poll(descriptor: descriptor, events: events) { [weak self] events in
            var mask: Int32 = 0
            if events.contains(.readable) { mask |= CURL_CSELECT_IN }
            if events.contains(.writable) { mask |= CURL_CSELECT_OUT }
            self?.act(on: descriptor, mask)
        }
    }

    private func schedule(_ milliseconds: Int) {
        guard milliseconds >= 0 else {
            due = nil
            return
        }
        let now = loop.now
        due = now + UInt64(milliseconds)
        if milliseconds == 0, !isActing {
            // All requests of a turn start together at its end.
            loop.atTurnEnd { [weak self] in self?.timerFired() }
            return
        }
        if timer != nil, timerDue <= now + UInt64(milliseconds) { return }
        arm(after: UInt64(milliseconds))
    }

    private func arm(after milliseconds: UInt64) {
        timer?.cancel()
        timerDue = loop.now + milliseconds
        timer = loop.timer(after: .milliseconds(milliseconds)) { [weak self] in
            self?.timer = nil
            self?.timerFired()
        }
    }

    private func timerFired() {
        guard let due, !isClosed else { return }
        if due > loop.now {
            if timer == nil { arm(after: due - loop.now) }
            return
        }
        self.due = nil
        act(on: CURL_SOCKET_BAD, 0)
    }

    private func act(on descriptor: Int32, _ mask: Int32) {
        guard !isClosed else { return }
        var running: Int32 = 0
        isActing = true
        curl_multi_socket_action(multi, descriptor, mask, &running)
        isActing = false
        endFinished()
    }

    private func endFinished() {
        var ended: [(Transfer, CURLcode)] = []
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            guard let transfer = transfers.removeValue(forKey: easy) else { continue }
            let result = carillon_message_result(message)
            // The message is gone once its handle is removed.
            curl_multi_remove_handle(multi, easy)
            ended.append((transfer, result))
        }
        if !isSilent, ended.contains(where: { $0.1 == CURLE_OPERATION_TIMEDOUT }) {
            isSilent = true
            onSilence?()
        }
        for (transfer, code) in ended {
            let result = transfer.result(code)
            retire(transfer.easy)
            transfer.completion(result)
        }
        if transfers.isEmpty { onEmpty?() }
    }

    private func retire(_ easy: UnsafeMutableRawPointer) {
        guard !isClosed, idle.count < 64 else { return curl_easy_cleanup(easy) }
        curl_easy_reset(easy)
        idle.append(easy)
    }
}
