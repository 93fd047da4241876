public import EventLoop
import HTTP
import Kafka
import Models
import Policies
import ServiceKafka
public import ServiceRuntime
import Settings

/// Reads events, decides by policy whom and how they notify, and writes notifications to the lanes of their priority.
public actor NotificationService: Service {
    public static let name = "notification-service"
    public static let summary = """
        Takes CloudEvents from Kafka and over POST /v1/events, decides by the policies whom they notify, and writes one record a \
        person to the topics notifications.high, .normal and .low. What it cannot read goes to events.dlq with the reason.
        """

    public nonisolated let loop: EventLoop
    private let context: ServiceContext<NotificationSettings>
    private let translation: EventTranslation
    private let metrics: NotificationMetrics
    private let pipeline: RecordPipeline
    private let producer: KafkaProducer
    private let fastLane: FastLane
    private let router: RESTRouter
    private var server: HTTPServer?

    public init(context: ServiceContext<NotificationSettings>) throws {
        let (loop, settings) = (context.loop, context.settings)
        self.loop = loop
        self.context = context
        let topics = Topics(namespace: context.process.namespace)
        translation = EventTranslation(
            policies: try Self.policies(settings.policiesFile), topics: topics, limits: settings.limits)
        metrics = NotificationMetrics(context.metrics)
        let kafka = KafkaSettings(settings.kafka, process: context.process)
        pipeline = try RecordPipeline(
            loop: loop, settings: kafka, service: Self.name, topics: [#"^events\..*"#], excluding: [#"\.dlq$"#],
            limits: PipelineLimits(
                records: settings.limits.batchRecords, transactionRecords: settings.limits.transactionRecords,
                transactionBytes: settings.limits.transactionBytes))
        producer = try KafkaProducer(
            loop: loop, settings: kafka, deliveryTimeout: settings.limits.acknowledgement, limit: settings.limits.awaiting)
        let translation = translation
        fastLane = FastLane(translation) { [producer] record, then in producer.produce(record) { then($0 == nil) } }
        pipeline.ahead = fastLane
        router = RESTRouter(context, apiKey: settings.apiKey)
        EventsRoute(loop: loop, translation: translation, producer: producer, log: context.log).add(to: router)
        let (pipeline, producer) = (pipeline, producer)
        context.metrics.gauge("carillon_events_held", "Events read from Kafka and not begun.") { Double(pipeline.heldRecords) }
        context.metrics.gauge("carillon_events_awaiting_kafka", "Events of POST /v1/events that Kafka has not acknowledged.") {
            Double(producer.inFlight)
        }
    }

    private static func policies(_ path: String) throws -> PolicyTable {
        do throws(PolicyFileError) {
            return try PolicyFile.read(path: path)
        } catch {
            throw StartError("the policies in \(path) cannot be used:\n\(error)")
        }
    }

    public func start() async throws {
        let producing = context.dependencies.source(.kafka)
        producer.onState = { producing.report($0) }
        context.watch(pipeline)
        let refused = RefusedOutputs(
            deadLetters: translation.topics.eventDeadLetters, log: context.log, metrics: context.metrics)
        pipeline.onRefused = { refused.replacement(for: $0, $1) }
        pipeline.onBatch = { self.translate($0) }
        try pipeline.start()
        let server = try context.serve()
        let router = router
        server.onRequest = { router.handle($0, $1) }
        self.server = server
    }

    /// Translates as much of the batch as one transaction takes, and leaves the rest to the next.
    private func translate(_ batch: RecordBatch) {
        let now = EventLoop.wallClock()
        let limits = context.settings.limits
        let most = fastLane.hasRightOfWay(now: now) ? limits.transactionRecordsBesideHigh : limits.transactionRecords
        var draft = TransactionDraft(pipeline.bound.atMost(records: most), capacity: batch.records.count)
        fastLane.begin()
        for record in batch.records {
            guard draft.add({ fastLane.translate(record, now: now, into: &$0) }) else { break }
        }
        for outcome in draft.outcomes {
            metrics.count(outcome)
            if case .deadLetter(let reason) = outcome {
                context.log.error("an event became a dead letter", ["reason": .name(reason)])
            }
        }
        metrics.countBatch(draft.outcomes.count)
        context.log.debug("batch translated", ["records": .count(draft.outcomes.count), "outputs": .count(draft.outputs.count)])
        fastLane.settle(batch.records[..<draft.outcomes.count]) { failed in
            var outputs = draft.outputs
            for record in failed { _ = self.translation.translate(record, now: now, into: &outputs) }
            batch.finish(outputs, through: draft.outcomes.count)
        }
    }

    public func drain() async {
        await server?.finish()
        await withCheckedContinuation { done in pipeline.stop { done.resume() } }
        await withCheckedContinuation { done in producer.close { done.resume() } }
    }
}
