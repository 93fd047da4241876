import EventLoop
import Kafka
import Models
import ServiceKafka
import ServiceRuntime

/// One priority's records on their way from `notifications.<priority>` to inboxes, gateways and `push.<priority>`. A batch is
/// worked on at a time. Lanes share the loop and the connection to Redis, and nothing else: however much of one priority is
/// under way, the others go on. Loop thread only.
final class Lane {
    private let pipeline: RecordPipeline
    private let tools: FanoutTools
    private let priority: Priority
    private let log: Log
    /// The batch in work.
    private var run: BatchRun?

    /// - Throws: a property that librdkafka does not take.
    init(_ priority: Priority, context: ServiceContext<FanoutSettings>, tools: FanoutTools) throws(KafkaError) {
        self.tools = tools
        self.priority = priority
        var kafka = KafkaSettings(context.settings.kafka, process: context.process)
        // All lanes are members of one group, as the single reader of earlier versions was; a transactional id is one producer's alone.
        kafka.instanceID += "-\(priority.rawValue)"
        pipeline = try RecordPipeline(
            loop: tools.loop, settings: kafka, service: FanoutWorker.name, topics: ["notifications.\(priority.rawValue)"],
            limits: PipelineLimits(records: tools.limits.batchRecords))
        context.watch(pipeline, lane: priority)
        log = context.log
        let refused = RefusedOutputs(
            deadLetters: tools.topics.notificationDeadLetters, log: context.log, metrics: context.metrics)
        pipeline.onRefused = { refused.replacement(for: $0, $1) }
    }

    /// Records read from Kafka and not begun.
    var heldRecords: Int { pipeline.heldRecords }

    func start() throws(KafkaError) {
        pipeline.onBatch = { [unowned self] batch in self.begin(batch) }
        try pipeline.start()
    }

    /// Redis answers again.
    func wake() { run?.wake() }

    /// Lets the batch in work end, within the pipeline's patience, and leaves the group.
    func stop(_ completion: @escaping () -> Void) {
        pipeline.stop {
            self.run?.drop()
            completion()
        }
    }

    private func begin(_ batch: RecordBatch) {
        // A batch that is still here was taken from this member by a rebalance.
        run?.drop()
        log.debug("batch begun", ["lane": .name(priority), "records": .count(batch.records.count)])
        let run = BatchRun(batch, priority, tools)
        self.run = run
        run.start()
    }
}
