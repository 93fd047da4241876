import EventLoop
import HTTP
import Kafka
import Models
import ServiceRuntime

/// `POST /v1/events`: one CloudEvent over HTTP (CloudEvents HTTP binding, structured and binary mode), checked as Kafka's
/// reader would check it, and accepted once Kafka has it. For producers.
struct EventsRoute {
    private let translation: EventTranslation
    private let producer: KafkaProducer

    init(translation: EventTranslation, producer: KafkaProducer) {
        self.translation = translation
        self.producer = producer
    }

    func add(to router: RESTRouter) {
        router.on("POST", "/v1/events", .apiKey) { take($0) }
    }

    private func take(_ call: RESTCall) {
        let headers = Self.recordHeaders(call.request)
        let place: (topic: String, key: String)
        do throws(DeadLetter) {
            place = try translation.check(
                value: call.request.body, headers: headers.map { ($0.name, $0.value) }, now: EventLoop.wallClock())
        } catch {
            return call.respond(Self.refusal(error))
        }
        // Who could only wait for nothing is told at once.
        guard producer.isUp else { return call.unavailable("Kafka is away. Nothing was taken: send the event again later.") }
        let record = OutgoingRecord(
            topic: place.topic, key: Array(place.key.utf8), value: call.request.body, headers: headers)
        producer.produce(record) { error in
            guard let error else { return call.respond(HTTPResponse(status: 202)) }
            if error.isRefusal {
                call.respond(.problem(status: 413, name: "too_large", detail: "Kafka does not take a record of this size."))
            } else if error.isOverLimit {
                call.unavailable("Too many events wait for Kafka. Nothing was taken: send the event again later.")
            } else {
                call.unavailable("Kafka did not acknowledge the event. Send it again: repeated, it is shown once.")
            }
        }
    }

    /// The headers of the record, in Kafka's binding: `ce-id` over HTTP is `ce_id` there.
    private static func recordHeaders(_ request: HTTPRequest) -> [KafkaHeader] {
        let attributes = request.headers(prefixed: "ce-")
        var headers = attributes.map { KafkaHeader("ce_" + $0.name.dropFirst(3), $0.value) }
        if let type = request.header("content-type"), !attributes.isEmpty || isStructured(type) {
            headers.append(KafkaHeader("content-type", type))
        }
        if let trace = request.header("traceparent") { headers.append(KafkaHeader("traceparent", trace)) }
        return headers
    }

    /// Plain `application/json` without attributes in headers is taken for structured mode too: that is what `curl` users send.
    private static func isStructured(_ contentType: String) -> Bool {
        contentType.lowercased().hasPrefix("application/cloudevents+json")
    }

    private static func refusal(_ fault: DeadLetter) -> HTTPResponse {
        let detail = fault.detail.prefix(1).uppercased() + fault.detail.dropFirst() + "."
        return fault.reason == .tooLarge
            ? .problem(status: 413, name: "too_large", detail: detail)
            : .problem(status: 400, name: fault.reason.rawValue, detail: detail)
    }
}
