import Centrifuge
import EventLoop
import Models
import ServiceRuntime
import Store

// The calls that clients make by `rpc` and `send`.
extension WebSocketClient {
    /// - Parameter id: nil for a `send`, which is not answered.
    func answer(_ call: Result<Call, ReplyError>, id: UInt64?) {
        switch call {
        case .success(let call) where call.idCount > node.settings.calls.ids: refuse(id, .overLimit, .ids)
        case .success(let call): carryOut(call, id)
        case .failure(let error): refuse(id, error, error == .methodNotFound ? .method : .form)
        }
    }

    private func refuse(_ id: UInt64?, _ error: ReplyError, _ why: CallRefusalLabel) {
        node.metrics.calls.refusals[why].increment()
        if let id { answer(.error(error), to: id) }
    }

    private func carryOut(_ call: Call, _ id: UInt64?) {
        guard let person = identity?.person else { return }
        node.metrics.calls.made[CallLabel(call)].increment()
        switch call {
        case .ack(let selection):
            acknowledge(selection)
            node.sessions.inbox.acknowledge(selection, of: person) { self.acknowledged($0, selection, id) }
        case .seen(let selection):
            acknowledge(selection)
            node.sessions.inbox.see(selection, of: person) { self.acknowledged($0, selection, id) }
        case .read(let selection):
            if case .upTo = selection { acknowledge(selection) }
            mark(call, person, id)
        case .unread, .archive: mark(call, person, id)
        case .window(let size):
            guard size <= node.settings.calls.maximumWindow else { return refuse(id, .overLimit, .window) }
            changeFlow(id) { $0.limit(window: size) }
        case .rate(let perSecond):
            guard perSecond <= node.settings.calls.maximumRate else { return refuse(id, .overLimit, .rate) }
            changeFlow(id) { $0.limit(rate: perSecond) }
        case .pause:
            changeFlow(id) { $0.isPaused = true }
            flow?.pausesAgain = true
        case .resume: resume(id)
        }
    }

    // MARK: Marks

    private func mark(_ call: Call, _ person: PersonID, _ id: UInt64?) {
        node.marks.mark(call, of: person) { self.answer($0, id) }
    }

    private func answer(_ result: Result<InboxCounts, StoreError>, _ id: UInt64?) {
        guard !hasLeft, let id else { return }
        switch result {
        case .success(let counts):
            // The control line that follows is not news to this client.
            session.knows(revision: counts.revision)
            answer(.rpc(counts.json), to: id)
        case .failure: refuse(id, .unavailable, .redis)
        }
    }

    // MARK: Acknowledgements

    /// Makes room in this connection's window. An acknowledgement of another epoch, or of what was not sent, does nothing.
    private func acknowledge(_ selection: InboxSelection) {
        guard case .upTo(let position) = selection, position.epoch == session.position.epoch,
            position.offset <= session.position.offset
        else { return }
        acknowledge(position.offset)
    }

    private func acknowledge(_ offset: UInt64) {
        guard let flow else { return }
        flow.control.acknowledged(offset)
        node.sessions.release(self)
    }

    private func acknowledged(_ result: Result<Acknowledged, StoreError>, _ selection: InboxSelection, _ id: UInt64?) {
        guard !hasLeft else { return }
        if case .success(let done) = result {
            measure(done)
            if case .ids = selection, done.offset <= session.position.offset { acknowledge(done.offset) }
        }
        answer(result.map(\.counts), id)
    }

    /// Measures the time from the event's acceptance to its acknowledgement, once for each position. It does so only for events
    /// that were accepted during this connection: for others the time would say how long the person was away.
    private func measure(_ done: Acknowledged) {
        let offset = UInt32(truncatingIfNeeded: done.offset)
        guard Int32(bitPattern: offset &- acknowledged) > 0 else { return }
        acknowledged = offset
        let now = EventLoop.wallClock()
        let opened = now - Int64(age)
        guard done.accepted >= opened else { return }
        node.metrics.calls.acknowledgements[.websocket][clientName].observe(milliseconds: now - done.accepted)
    }

    // MARK: Flow

    private func changeFlow(_ id: UInt64?, _ change: (inout FlowControl) -> Void) {
        let its = flow ?? Flow()
        change(&its.control)
        flow = its
        node.sessions.release(self)
        if let id { answer(.rpc(Array("{}".utf8)), to: id) }
    }

    private func resume(_ id: UInt64?) {
        let its = flow ?? Flow()
        flow = its
        guard its.resumes == nil else { return refuse(id, .badRequest("a resume is under way"), .form) }
        its.pausesAgain = false
        its.resumes = { [unowned self] in resumed(id, $0) }
        node.sessions.resume(self, its)
    }

    /// Answers `resume`; nil: the inbox could not be read. The same frame has the position from which the flow goes on, so that
    /// an SDK that reconnects recovers from there.
    private func resumed(_ id: UInt64?, _ page: InboxPage?) {
        guard let page else { return refuse(id, .unavailable, .redis) }
        let push = Push.inbox(page.state.position)
        guard let id else { return answer(frame: codec.frame(codec.encode(push))) }
        answer(frame: codec.frame(codec.encode(.rpc(page.resumeAnswer), to: id, then: push)))
    }
}
