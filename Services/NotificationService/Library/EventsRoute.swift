import EventLoop
import HTTP
import Kafka
import Models
import ServiceRuntime

/// `POST /v1/events`: one CloudEvent over HTTP (CloudEvents HTTP binding, structured and binary mode), checked as Kafka's
/// reader would check it, and accepted once Kafka has it. For producers. Loop thread only.
final class EventsRoute {
    private let loop: EventLoop
    private let translation: EventTranslation
    private let producer: KafkaProducer
    private let log: Log
    /// Topics that the policies name: only these may stand in a log line.
    private let configured: Set<String>
    private var missing = MissingTopics()

    init(loop: EventLoop, translation: EventTranslation, producer: KafkaProducer, log: Log) {
        self.loop = loop
        self.translation = translation
        self.producer = producer
        self.log = log
        configured = Set(translation.topics.events(of: translation.policies))
    }

    func add(to router: RESTRouter) {
        router.on("POST", "/v1/events", .apiKey) { self.take($0) }
    }

    private func take(_ call: RESTCall) {
        let headers: [KafkaHeader]
        do { headers = try EventRequest(call.request).headers } catch { return call.respond(error.response) }
        let event: CheckedEvent
        do throws(DeadLetter) {
            event = try translation.check(value: call.request.body, headers: headers, now: EventLoop.wallClock())
        } catch {
            return call.respond(Self.refusal(error))
        }
        // An answer at once is better than waiting for nothing.
        guard producer.isUp else { return call.unavailable("Kafka is away. Nothing was taken: send the event again later.") }
        let record = OutgoingRecord(
            topic: event.topic, key: Array(event.key.utf8), value: call.request.body, headers: headers)
        let began = loop.now
        producer.produce(record) { self.answer(call, event, began, $0) }
    }

    private func answer(_ call: RESTCall, _ event: CheckedEvent, _ began: UInt64, _ error: KafkaError?) {
        guard let error else {
            missing.found(event.topic)
            return call.respond(.json(event.answer, status: 202))
        }
        if error.isUnknownTopic, missing.missed(event.topic, from: began, until: loop.now) {
            unknownTopic(event.topic, call)
        } else if error.isRefusal {
            call.respond(.problem(status: 413, name: "too_large", detail: "Kafka does not take a record of this size."))
        } else if error.isOverLimit {
            call.unavailable("Too many events wait for Kafka. Nothing was taken: send the event again later.")
        } else {
            call.unavailable("Kafka did not acknowledge the event. Send it again: repeated, it is shown once.")
        }
    }

    private func unknownTopic(_ topic: String, _ call: RESTCall) {
        log.error(
            "an event was refused: its topic does not exist, and the broker makes none",
            ["topic": configured.contains(topic) ? .configured(topic) : .text("of a type that no policy names by its first part")])
        call.respond(
            .problem(
                status: 404, name: "unknown_topic",
                detail: "There is no topic \(topic) in Kafka. Create it, or name another one in the type's policy (topic:)."))
    }

    private static func refusal(_ fault: DeadLetter) -> HTTPResponse {
        .problem(status: fault.reason == .tooLarge ? 413 : 400, name: fault.reason.rawValue, detail: fault.detail)
    }
}
