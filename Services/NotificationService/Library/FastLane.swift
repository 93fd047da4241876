import EventLoop
import Kafka
import Models

/// High priority does not wait for a transaction: the records of such an event leave at once, through a producer without
/// transactions, when the event is read. Its offset passes with its batch, once Kafka has them. A process that dies between the two
/// writes them again, and whoever reads them recognises the repetition (the law "Repeating changes nothing").
///
/// Where that is not possible (too much is under way, Kafka refuses or does not answer in time) they go with the batch's
/// transaction, as all others do. Loop thread only.
final class FastLane: RecordsAhead {
    private struct Partition: Hashable {
        let topic: String
        let number: Int32
    }

    private struct Place: Hashable {
        let partition: Partition
        let offset: Int64

        init(_ record: KafkaRecord) {
            partition = Partition(topic: record.topic, number: record.partition)
            offset = record.offset
        }
    }

    /// An event that has left.
    private struct Sent {
        let number: UInt64
        let count: Int
        var unanswered: Int
        var hasFailed = false
        /// Its batch waits for it.
        var isAwaited = false
        var isAnswered: Bool { unanswered == 0 }
    }

    /// A batch that is to end.
    private struct Settlement {
        let records: ArraySlice<KafkaRecord>
        let then: ([KafkaRecord]) -> Void
        /// Events of it that Kafka has not answered.
        var unanswered = 0
    }

    /// Records under way at once.
    static let limit = 4_000
    /// How long high priority has the right of way after an event of it, in ms.
    static let patience: Int64 = 2_000

    private let translation: EventTranslation
    private let clock: () -> Int64
    private let produce: (OutgoingRecord, @escaping (_ isWritten: Bool) -> Void) -> Void
    /// Events that have left and not passed.
    private var sent: [Place: Sent] = [:]
    private var lastNumber: UInt64 = 0
    private var inFlight = 0
    private var lastSentAt: Int64?
    /// Topics that have carried high priority. The events of others are not looked at ahead: that would be to read them twice.
    private var topics: Set<String> = []
    /// Partitions of which an event of high priority goes with the batch in work: what stands behind it must not come before it.
    private var held: Set<Partition> = []
    private var settling: Settlement?

    /// - Parameters:
    ///   - clock: ms since 1970.
    ///   - produce: writes a record by itself; its second argument is called once, in a later turn.
    init(
        _ translation: EventTranslation, clock: @escaping () -> Int64 = EventLoop.wallClock,
        produce: @escaping (OutgoingRecord, @escaping (_ isWritten: Bool) -> Void) -> Void
    ) {
        self.translation = translation
        self.clock = clock
        self.produce = produce
    }

    /// Whether high priority is under way, or was a moment ago. Transactions are small then: their records stand before those of high
    /// priority at the broker and on this loop.
    func hasRightOfWay(now: Int64) -> Bool { inFlight > 0 || lastSentAt.map { abs(now - $0) < Self.patience } ?? false }

    // MARK: Ahead of a batch

    func look(_ records: [KafkaRecord]) {
        for record in records where topics.contains(record.topic) {
            let place = Place(record)
            guard sent[place] == nil, let outputs = translation.urgent(record, now: clock()) else { continue }
            send(outputs[...], place)
        }
    }

    func forget() {
        sent = [:]
        held = []
        settling = nil
    }

    // MARK: In a batch

    func begin() { held = [] }

    /// Translates a record of a batch. What leaves on the fast lane is not among the outputs.
    func translate(_ record: KafkaRecord, now: Int64, into outputs: inout [OutgoingRecord]) -> EventOutcome {
        if !sent.isEmpty, let known = sent[Place(record)] { return .notified(.high, records: known.count) }
        let first = outputs.count
        let outcome = translation.translate(record, now: now, into: &outputs)
        if case .notified(.high, _) = outcome {
            topics.insert(record.topic)
            if send(outputs[first...], Place(record)) { outputs.removeSubrange(first...) }
        }
        return outcome
    }

    /// Waits until Kafka has all that these events sent ahead. `then` is given those whose records it does not have, and the lane
    /// forgets all of them. It may be called at once; never if the group takes the batch back.
    func settle(_ records: ArraySlice<KafkaRecord>, then: @escaping ([KafkaRecord]) -> Void) {
        var settlement = Settlement(records: records, then: then)
        if !sent.isEmpty {
            for record in records where sent[Place(record)] != nil {
                sent[Place(record)]?.isAwaited = true
                if sent[Place(record)]?.isAnswered == false { settlement.unanswered += 1 }
            }
        }
        settling = settlement
        if settlement.unanswered == 0 { end() }
    }

    private func end() {
        guard let settlement = settling else { return }
        settling = nil
        guard !sent.isEmpty else { return settlement.then([]) }
        settlement.then(settlement.records.filter { sent.removeValue(forKey: Place($0))?.hasFailed == true })
    }

    // MARK: On its way

    @discardableResult private func send(_ outputs: ArraySlice<OutgoingRecord>, _ place: Place) -> Bool {
        guard !held.contains(place.partition), inFlight + outputs.count <= Self.limit else {
            held.insert(place.partition)
            return false
        }
        lastNumber &+= 1
        let number = lastNumber
        sent[place] = Sent(number: number, count: outputs.count, unanswered: outputs.count)
        inFlight += outputs.count
        lastSentAt = clock()
        for output in outputs {
            produce(output) { [weak self] in self?.answered(place, number, isWritten: $0) }
        }
        return true
    }

    private func answered(_ place: Place, _ number: UInt64, isWritten: Bool) {
        inFlight -= 1
        guard var event = sent[place], event.number == number else { return }
        event.unanswered -= 1
        if !isWritten { event.hasFailed = true }
        sent[place] = event
        guard event.isAnswered, event.isAwaited else { return }
        settling?.unanswered -= 1
        if settling?.unanswered == 0 { end() }
    }
}
