internal import Kafka
internal import Models

let deadLetterListCommand = Command(
    "dlq list", summary: "List dead letters: where, when, why",
    details: """
        One line a dead letter: its place (for dlq show), when it was given up, the reason, where it came from, and the
        detail. Newest first.
        """,
    options: [
        Option("topic", "TOPIC", "only this one: events.dlq, notifications.dlq or push.dlq"),
        Option("reason", "REASON", "only these: " + DeadLetterReason.allCases.map(\.rawValue).joined(separator: ", ")),
        Option("limit", "N", "at most so many of each topic (default 50)"),
    ]
) { invocation in
    let options = invocation.options
    let limit = try options.count("limit") ?? 50
    let reason = options["reason"]
    if let reason, DeadLetterReason(rawValue: reason) == nil { throw ControlError.usage("there is no reason \(printable(reason))") }
    let settings = try invocation.settings.kafka()
    let wanted = options["topic"].map { [settings.topic($0), $0] }
    let inspector = try KafkaInspector(settings)
    var found = 0
    for topic in try inspector.topics() where isDeadLetters(topic.name, settings) && wanted?.contains(topic.name) != false {
        var letters: [KafkaRecord] = []
        for partition in topic.partitions {
            letters += try newest(limit, of: topic.name, partition, inspector) { letter in
                reason == nil || letter.header("dlq-reason") == reason.map { Array($0.utf8) }
            }
        }
        letters.sort { ($0.timestamp, $0.offset) > ($1.timestamp, $1.offset) }
        for letter in letters.prefix(limit) { invocation.terminal.line(row(letter)) }
        found += letters.count
    }
    if found == 0 { invocation.terminal.note("no dead letters") }
    return Status.done
}

/// The newest records of a partition that are wanted, oldest first.
///
/// Offsets do not count records: the markers that end transactions take some, and what an aborted one wrote takes more. So it
/// is looked further back until there are enough, or no more.
private func newest(
    _ limit: Int, of topic: String, _ partition: Int32, _ inspector: KafkaInspector, _ isWanted: (KafkaRecord) -> Bool
) throws(KafkaError) -> [KafkaRecord] {
    let (low, high) = try inspector.watermarks(topic: topic, partition: partition)
    var reach = Int64(limit)
    while true {
        let from = max(low, high - reach)
        var found: [KafkaRecord] = []
        try inspector.read(topic: topic, partitions: [partition], from: from) { record in
            if isWanted(record) { found.append(record) }
            // Of many no more is kept than is asked for.
            if found.count >= 2 * limit { found.removeFirst(limit) }
            return true
        }
        if found.count >= limit || from == low { return found.suffix(limit) }
        reach = reach > high / 8 ? high : reach * 8
    }
}

let deadLetterShowCommand = Command(
    "dlq show", operand: "TOPIC/PARTITION/OFFSET", summary: "Show one dead letter; its content only with --body",
    options: [Option("body", nil, "print the content as well: it may hold what people wrote to each other")]
) { invocation in
    guard invocation.options.rest.count == 1, let place = Place(invocation.options.rest[0]) else {
        throw ControlError.usage("one place is needed, as dlq list prints it: events.dlq/0/12")
    }
    let settings = try invocation.settings.kafka()
    let inspector = try KafkaInspector(settings)
    let missing = ControlError("there is no record at \(place)", remedy: "carillonctl dlq list shows which there are")
    guard let topic = try inspector.topics().first(where: { $0.name == place.topic }), topic.partitions.contains(place.partition)
    else { throw missing }
    var letter: KafkaRecord?
    try inspector.read(topic: place.topic, partitions: [place.partition], from: place.offset) { record in
        letter = record
        return false
    }
    guard let letter, letter.offset == place.offset else { throw missing }
    show(letter, withBody: invocation.options.has("body"), invocation.terminal)
    return Status.done
}

/// Where a record lies, as one word.
struct Place: Equatable, CustomStringConvertible {
    let topic: String
    let partition: Int32
    let offset: Int64

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, let partition = Int32(parts[1]), let offset = Int64(parts[2]),
            partition >= 0, offset >= 0
        else { return nil }
        topic = String(parts[0])
        self.partition = partition
        self.offset = offset
    }

    var description: String { "\(printable(topic))/\(partition)/\(offset)" }
}

private func isDeadLetters(_ topic: String, _ settings: KafkaSettings) -> Bool {
    guard let name = settings.name(ofTopic: topic) else { return false }
    return ["events.dlq", "notifications.dlq", "push.dlq"].contains(name)
}

/// A header's text; a dash where it is missing.
private func header(_ record: KafkaRecord, _ name: String) -> String {
    record.header(name).map { printable($0) } ?? "-"
}

private func row(_ letter: KafkaRecord) -> String {
    let at = Int64(header(letter, "dlq-at")) ?? letter.timestamp
    let origin = ["dlq-topic", "dlq-partition", "dlq-offset"].map { header(letter, $0) }.joined(separator: "/")
    return "\(letter.topic)/\(letter.partition)/\(letter.offset)  \(Timestamp.text(at))  \(header(letter, "dlq-reason"))  "
        + "from \(origin)  attempts \(header(letter, "dlq-attempts"))  \(header(letter, "dlq-detail"))"
}

private func show(_ letter: KafkaRecord, withBody: Bool, _ terminal: Terminal) {
    terminal.line("place     \(letter.topic)/\(letter.partition)/\(letter.offset)")
    terminal.line("written   \(Timestamp.text(letter.timestamp))")
    terminal.line("key       \(letter.key.map { printable($0) } ?? "-")")
    for header in letter.headers { terminal.line("header    \(printable(header.name)): \(header.value.map { printable($0) } ?? "null")") }
    terminal.line(letter.isTombstone ? "size      null, a tombstone" : "size      \(letter.value.count) bytes")
    guard withBody else { return terminal.note("the content is shown with --body") }
    terminal.line("")
    terminal.line(String(decoding: letter.value, as: UTF8.self).split(separator: "\n").map { printable($0) }.joined(separator: "\n"))
}
