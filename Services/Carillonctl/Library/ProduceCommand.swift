internal import EventLoop
internal import Foundation
internal import Kafka
internal import Models
internal import Policies
internal import Settings

let produceCommand = Command(
    "produce", operand: "[FILE]", summary: "Send an event to Kafka and wait until it is stored",
    details: """
        The event is made of the options, or read from FILE (- for standard input) as one CloudEvent in JSON. Its topic is
        the one that POLICIES names for its type, else events.<first part of the type>; its record's key is its partitionkey, else the user, else the audience, else its id.
        """,
    options: [
        Option("type", "TYPE", "what happened: social.mention, message.direct, … (needed without FILE)"),
        Option("user", "PERSON", "the one recipient"),
        Option("users", "A,B", "several recipients"),
        Option("channel", "CHANNEL", "the members of a channel"),
        Option("title", "TEXT", "the notification's title"),
        Option("body", "TEXT", "its text"),
        Option("url", "URL", "where it leads"),
        Option("target", "TARGET", "what it is about, post:9 say"),
        Option("actor", "PERSON", "who did it; she is not notified of it"),
        Option("priority", "LEVEL", "high, normal or low, instead of the policy's"),
        Option("ttl", "DURATION", "how long it is worth delivering"),
        Option("data", "JSON", "an object that clients get as it is"),
        Option("id", "ID", "the event's id (default: a new one); an id is taken once from each source"),
        Option("source", "SOURCE", "who says so (default carillonctl)"),
        Option("key", "KEY", "the partitionkey: what orders the event"),
        Option("timeout", "DURATION", "how long the broker may take (default 10s)"),
        Option("unchecked", nil, "send FILE as it is, even if no service could read it"),
    ]
) { invocation in
    let options = invocation.options
    let value = try eventBytes(options)
    let settings = try invocation.settings.kafka()
    // Where there is no such file here, types find their topics by their names.
    let policies = try? PolicyFile.read(path: try invocation.settings.value(ControlSettings.policies))
    let record = try outgoingRecord(value, settings: settings, options: options, policies: policies)
    let timeout = Duration.seconds(try seconds(options["timeout"] ?? "10s", option: "timeout"))
    do { try await Sender.once(record.record, settings, timeout: timeout) } catch {
        throw ControlError(
            "the broker did not take it: \(error)", remedy: "is \(settings.brokers) the broker? carillonctl doctor looks")
    }
    let key = record.record.key.map { printable($0) } ?? "-"
    invocation.terminal.line("produced \(record.record.topic) key=\(key) id=\(printable(record.id))")
    return Status.done
}

/// The event as bytes, made of options or read from a file.
private func eventBytes(_ options: Options) throws(ControlError) -> [UInt8] {
    if options.rest.count > 1 { throw .usage("there is one FILE at most") }
    if let file = options.rest.first {
        guard options["type"] == nil, options["user"] == nil else { throw .usage("FILE and --type exclude each other") }
        let data = file == "-" ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: file)
        guard let data else { throw ControlError("\(printable(file)) cannot be read") }
        return [UInt8](data)
    }
    return try draft(options).encoded()
}

func draft(_ options: Options) throws(ControlError) -> EventDraft {
    let audiences: [EventDraft.Recipients?] = [
        options["user"].map { .user($0) },
        options["users"].map { .users(listed($0)) },
        options["channel"].map { .channel($0) },
    ]
    let given = audiences.compactMap(\.self)
    guard given.count == 1 else { throw .usage("one of --user, --users and --channel is needed") }
    var draft = EventDraft(
        id: options["id"] ?? UUID().uuidString.lowercased(), source: options["source"] ?? "carillonctl",
        type: try options.required("type"), time: EventLoop.wallClock(), recipients: given[0])
    draft.texts = ["actor", "title", "body", "url", "target", "priority"].map { ($0, options[$0]) }
    draft.ttlSeconds = try options["ttl"].map { text throws(ControlError) in try seconds(text, option: "ttl") }
    draft.data = options["data"]
    draft.partitionKey = options["key"]
    return draft
}

/// The record for an event: refused here if a service would have to dead-letter it, unless that is what is wanted.
func outgoingRecord(
    _ value: [UInt8], settings: KafkaSettings, options: Options, policies: PolicyTable? = nil
) throws(ControlError) -> (record: OutgoingRecord, id: String) {
    let headers = [KafkaHeader("content-type", "application/cloudevents+json")]
    do {
        let event = try CloudEvent.structured(value)
        let data = try EventData.read(event)
        let policy = policies?.policy(for: event.type)
        guard let topic = Topics(namespace: settings.namespace).events(forType: event.type, policy: policy) else {
            throw DeadLetter(.invalidData, "the type's first part must be a domain: letters, digits, _ and -, and not dlq")
        }
        let key = Array(event.recordKey(for: data.audience).utf8)
        return (OutgoingRecord(topic: topic, key: key, value: value, headers: headers), event.id)
    } catch let error as DeadLetter {
        guard options.has("unchecked") else {
            throw ControlError(
                "this is no event that could be delivered (\(error.reason.rawValue)): \(error.detail)", status: Status.data)
        }
        let domain = options["type"] ?? "unchecked"
        let topic = Topics(namespace: settings.namespace).events(forType: domain) ?? settings.topic("events.unchecked")
        return (OutgoingRecord(topic: topic, value: value, headers: headers), "-")
    } catch {
        throw ControlError("\(error)")
    }
}
