import EventLoop
import Kafka
import Lanes
import Models
import ServiceKafka
import ServiceRuntime
import ServiceStore
import Store

/// The work on one batch of records: each to its recipients' inboxes, then to the gateways that hold them, then, for who has
/// none, to the push topics, in the transaction that passes the batch.
///
/// Redis being away holds everything where it is, and says nothing about a record. A batch that the group has taken back is
/// dropped: another member does all of it again, and each step stands that. Confined to the loop.
final class BatchRun {
    /// One record that could be read.
    struct Item {
        let record: NotificationRecord
        /// Its place in the batch.
        let source: Int
        /// Some recipient's call was given up, and the dead letter is written.
        var isDeadLetter = false
    }

    let tools: FanoutTools
    private let batch: RecordBatch
    /// Of all its records: each priority has a topic of its own.
    private let priority: Priority
    var items: [Item] = []
    /// Records that were read, from the first on.
    private var admitted = 0
    private var outputs: BatchOutputs
    /// Each person's records, in order.
    var people: Lanes<PersonID>
    /// What became of each call, by the person's place in `people`.
    private var calls: [DeliveryCall] = []
    var readings: AudienceReadings
    var posts: ChannelPosts
    var table: GatewayTable
    let turns: StoreTurns

    init(_ batch: RecordBatch, _ priority: Priority, _ tools: FanoutTools) {
        self.batch = batch
        self.priority = priority
        self.tools = tools
        outputs = BatchOutputs(limits: tools.limits)
        people = Lanes(tools.limits.people)
        readings = AudienceReadings(limit: tools.limits.readings, attempts: tools.limits.attempts)
        posts = ChannelPosts(tools.limits.posts)
        table = GatewayTable(limit: tools.limits.gatewayBatchBytes)
        turns = StoreTurns(loop: tools.loop) { [store = tools.store] in store.isUp }
    }

    // MARK: Records

    func start() {
        items.reserveCapacity(batch.records.count)
        if priority == .high { tools.rightOfWay.take() }
        turns.begin { self.turn() }
    }

    /// Nothing more is to be done: another batch has begun, or the service ends.
    func drop() {
        if !turns.isOver { end() }
    }

    /// Redis answers again.
    func wake() { turns.wake() }

    private func end() {
        turns.end()
        if priority == .high { tools.rightOfWay.leave(at: tools.loop.now) }
    }

    /// Calls that may be under way: few beside high priority, which waits in Redis behind all of them.
    var window: Int {
        let isBeside = priority != .high && tools.rightOfWay.isTaken(at: tools.loop.now)
        return isBeside ? min(tools.limits.callsBesideHigh, tools.limits.callsInFlight) : tools.limits.callsInFlight
    }

    /// Reads records: all at once, so that what is for one person goes together, and beside high priority only as many as are called
    /// soon, so that no turn is long.
    private func admit() {
        let isBeside = window < tools.limits.callsInFlight
        guard admitted < batch.records.count, !isBeside || people.busy < window else { return }
        let now = EventLoop.wallClock()
        let end = isBeside ? min(batch.records.count, admitted + 2 * window) : batch.records.count
        while admitted < end {
            admit(admitted, now)
            admitted += 1
        }
        // An answer makes the next turn, if there is anybody to answer.
        if admitted < batch.records.count, people.busy < window {
            tools.loop.timer(after: .milliseconds(1)) { self.turns.schedule() }
        }
    }

    private func admit(_ source: Int, _ now: Int64) {
        do throws(DeadLetter) {
            let record = try NotificationRecord.read(batch.records[source].value)
            guard record.expiresAt > now else { return tools.metrics.records[.expired].increment() }
            let index = items.count
            let item = Item(record: record, source: source)
            switch record.audience {
            case .user, .users:
                items.append(item)
                if readings.admit(direct: index, key: batch.records[source].key) { enqueue(index) }
            case .channel(let channel):
                items.append(item)
                posts.admit(index, bytes: record.notification.count, to: channel)
                readings.admit(index, audience: record.audience.listID ?? "", key: batch.records[source].key)
            case .followersOf, .broadcast: throw DeadLetter(.invalidData, "this audience is not served yet")
            }
        } catch {
            deadLetter(source, error, attempts: 1)
        }
    }

    /// Puts a record for named people into their lines.
    func enqueue(_ index: Int) {
        switch items[index].record.audience {
        case .user(let person): enqueue(index, for: person)
        case .users(let people): for person in people { enqueue(index, for: person) }
        case .channel, .followersOf, .broadcast: break
        }
    }

    func enqueue(_ index: Int, for person: PersonID) {
        guard person != items[index].record.actor else { return }
        let slot = people.add(index, bytes: items[index].record.notification.count, for: person)
        if slot == calls.count { calls.append(DeliveryCall()) }
    }

    /// They failed by their own fault as often as they may. A record has one dead letter, however many do not take it.
    func giveUp(_ records: [Int], _ detail: String) {
        for index in records where !items[index].isDeadLetter {
            items[index].isDeadLetter = true
            deadLetter(items[index].source, DeadLetter(.attemptsExhausted, detail), attempts: tools.limits.attempts)
        }
    }

    private func deadLetter(_ source: Int, _ error: DeadLetter, attempts: Int) {
        tools.metrics.records[.deadLetter].increment()
        tools.metrics.deadLetters[error.reason].increment()
        tools.log.error("a notification became a dead letter", ["reason": .name(error.reason), "attempts": .count(attempts)])
        outputs.append(
            .deadLetter(
                batch.records[source], error, attempts: attempts, topic: tools.topics.notificationDeadLetters,
                at: EventLoop.wallClock()))
    }

    // MARK: Turns

    /// Does all that has become possible.
    private func turn() {
        guard batch.isCurrent else { return drop() }
        admit()
        if turns.mayAsk() {
            publish()
            post()
            call()
            readAudiences()
        }
        let isDone = admitted == batch.records.count && people.busy == 0 && readings.isEmpty && posts.isEmpty
        if isDone, outputs.maySettle { finish() } else { write() }
    }

    /// Writes outputs before the batch's end, once they are many. A repetition of the batch writes them once more: the
    /// push-service knows what it has sent.
    private func write() {
        guard let records = outputs.begin() else { return }
        batch.commit(records, through: 0) {
            self.outputs.written()
            self.turns.schedule()
        }
    }

    private func finish() {
        end()
        tools.metrics.records[.delivered].increment(by: items.count { !$0.isDeadLetter })
        // Everything that a repetition would do again is known by Redis.
        let records = outputs.take()
        batch.finish(records, commit: records.isEmpty ? .plain : .transaction)
    }

    func failed(_ error: StoreError) {
        tools.metrics.retries.increment()
        turns.failed(isOutage: error.isOutage)
    }

    // MARK: Calls

    private func call() {
        let window = window
        while !outputs.isFull, let slot = people.next(turns.hold, most: window) {
            if calls[slot].deliveries.isEmpty { fill(slot) }
            tools.inbox.deliver(calls[slot].deliveries, to: people.key(slot)) { self.answered(slot, $0) }
        }
    }

    /// The call's records, as Redis takes them.
    private func fill(_ slot: Int) {
        people.forEachRecord(of: slot) { index in
            calls[slot].records.append(index)
            calls[slot].deliveries.append(delivery(index))
        }
    }

    func delivery(_ index: Int) -> Delivery {
        Delivery(
            id: items[index].record.id, accepted: items[index].record.accepted, priority: priority, bytes: items[index].record.bytes,
            range: items[index].record.notification)
    }

    private func answered(_ slot: Int, _ result: Result<Delivered, StoreError>) {
        guard !turns.isOver else { return }
        switch result {
        case .success(let delivered):
            turns.succeeded()
            take(slot, delivered)
        case .failure(let error):
            failed(error)
            if case .givenUp(let records) = people.failed(slot, isOutage: error.isOutage) {
                giveUp(records, "the recipient's inbox does not take it")
                calls[slot].clear()
            }
        }
        turns.schedule()
    }

    private func take(_ slot: Int, _ delivered: Delivered) {
        for entry in delivered.entries {
            if entry.isFresh { tools.metrics.fresh.increment() } else { tools.metrics.repeated.increment() }
        }
        var routes: [(gateway: Int, connection: GatewayTable.Route)] = []
        routes.reserveCapacity(delivered.routes.count)
        for text in delivered.routes {
            if let found = table.find(text) { routes.append(found) }
        }
        let first = routes.first?.gateway
        if let first, routes.allSatisfy({ $0.gateway == first }) {
            let step = calls[slot].delivered(epoch: delivered.epoch, entries: delivered.entries, gateways: 1)
            table.outboxes[first].add(calls[slot], slot, routes: routes.map(\.connection))
            return follow(slot, step)
        }
        let gateways = Set(routes.map(\.gateway)).sorted()
        let step = calls[slot].delivered(epoch: delivered.epoch, entries: delivered.entries, gateways: gateways.count)
        for gateway in gateways {
            let here = routes.filter { $0.gateway == gateway }
            table.outboxes[gateway].add(calls[slot], slot, routes: here.map(\.connection))
        }
        follow(slot, step)
    }

    private func follow(_ slot: Int, _ step: DeliveryCall.Step) {
        switch step {
        case .wait, .publish: return
        case .deliver: return people.again(slot)
        case .push: push(slot)
        case .settled: break
        }
        calls[slot].clear()
        people.end(slot)
    }

    /// What is delivered again may have reached her meanwhile, and while Redis was away it may have expired.
    private func push(_ slot: Int) {
        let now = EventLoop.wallClock()
        for (place, index) in calls[slot].records.enumerated() where items[index].record.push {
            let (item, entry) = (items[index], calls[slot].entries[place])
            guard entry.isOpen, item.record.expiresAt > now else {
                tools.metrics.needless.increment()
                continue
            }
            let position = StreamPosition(epoch: calls[slot].epoch, offset: entry.offset)
            outputs.append(
                .push(
                    item.record, to: people.key(slot), position, topic: tools.topics.push(priority),
                    headers: batch.records[item.source].headers))
            tools.metrics.pushes[priority].increment()
        }
    }

    // MARK: Gateways

    private func publish() {
        for gateway in table.takeFailed() {
            if let parcel = table.outboxes[gateway].underWay { publish(parcel, gateway) }
        }
        for gateway in table.outboxes.indices {
            if let parcel = table.outboxes[gateway].begin() { publish(parcel, gateway) }
        }
    }

    private func publish(_ parcel: GatewayOutbox.Parcel, _ gateway: Int) {
        tools.router.publish(parcel.lines, to: table.outboxes[gateway].instance) { self.published(gateway, $0) }
    }

    private func published(_ gateway: Int, _ result: Result<Published, StoreError>) {
        guard !turns.isOver else { return }
        defer { turns.schedule() }
        var receivers = 0
        var hasLeft = false
        switch result {
        case .success(let published):
            turns.succeeded()
            receivers = published.receivers
            hasLeft = published.sequence == 0
        case .failure(let error) where error.isOutage:
            failed(error)
            return table.failed(gateway)
        case .failure: break  // Such a gateway hears nothing; its people count as without a route there.
        }
        let metrics = tools.metrics
        metrics.publishes.increment()
        metrics.parcelSizes.observe(Double(table.outboxes[gateway].underWay?.count ?? 0))
        if receivers == 0 { metrics.unheard.increment() }
        let now = EventLoop.wallClock()
        let answered = table.outboxes[gateway].answered()
        for line in answered.channels {
            if hasLeft { sweep(line, table.outboxes[gateway].instance) }
            posts.published(line)
        }
        for slot in answered.slots {
            if receivers > 0 {
                for delivery in calls[slot].deliveries { metrics.toPublished.observe(milliseconds: now - delivery.accepted) }
            }
            follow(slot, calls[slot].published(receivers: receivers))
        }
    }
}
