internal import EventLoop
public import Kafka
public import ServiceRuntime

extension ServiceContext {
    /// Shows a pipeline to the operator: its state in `/health/ready` and `carillon_dependency_up`, its notes and alarms in the
    /// log, and how far it is behind in `/metrics`. To be called once for each pipeline, before it starts, on the loop.
    /// - Parameter lane: which of the service's pipelines, where it has several.
    public func watch(_ pipeline: RecordPipeline, lane: some MetricLabel) {
        watch(pipeline, .name(lane), lane.rawValue)
    }

    /// The same for a service's only pipeline.
    public func watch(_ pipeline: RecordPipeline) { watch(pipeline, .text("all"), "all") }

    private func watch(_ pipeline: RecordPipeline, _ name: LogValue, _ lane: String) {
        let source = dependencies.source(.kafka)
        pipeline.onState = { source.report($0) }
        let log = log
        pipeline.onNote = { log.info("Kafka", ["lane": name, "note": .configured($0)]) }
        pipeline.onAlarm = { log.error("Kafka", ["lane": name, "alarm": .configured($0)]) }
        let instruments = PipelineInstruments(pipeline, metrics, lane: lane)
        metrics.onScrape { instruments.measure() }
    }
}

/// What `/metrics` says of one pipeline, measured when it is asked. Loop thread only.
///
/// Topics may be labels: an operator chose their names, and a process is given only those that it subscribes to. How many series they make
/// with their partitions has a bound all the same, for a pattern finds whatever a broker lets its producers create.
final class PipelineInstruments {
    private let pipeline: RecordPipeline
    private let restarts: Counter
    private let writing: Gauge
    private let lags: BoundedGauge
    private let ages: BoundedGauge
    private var countedRestarts = 0

    init(_ pipeline: RecordPipeline, _ metrics: Metrics, lane: String) {
        self.pipeline = pipeline
        restarts = metrics.counter(
            "carillon_kafka_topics_remade_total", "Partitions that were seen to begin again: a topic was deleted and created again.")
        writing = metrics.gauge(
            "carillon_kafka_batch_writing_seconds",
            "How long the batch in hand has been on its way to Kafka; 0 while none is.", labels: ["lane": lane])
        lags = BoundedGauge(other: ["other", "other"], joining: +) { series in
            metrics.gauge(
                "carillon_kafka_lag_records", "Records of a partition that are written and have not passed.",
                labels: ["topic": series[0], "partition": series[1]])
        }
        ages = BoundedGauge(other: ["other"], joining: max) { series in
            metrics.gauge(
                "carillon_kafka_oldest_record_age_seconds",
                "Age of the oldest record of a topic that was read and has not passed; 0 without one.", labels: ["topic": series[0]])
        }
    }

    func measure() {
        writing.set(Double(pipeline.writingTime) / 1_000)
        restarts.increment(by: pipeline.restarts - countedRestarts)
        countedRestarts = pipeline.restarts
        lags.set(pipeline.lag.map { ([$0.topic, "\($0.partition)"], Double($0.records)) })
        let now = EventLoop.wallClock()
        ages.set(pipeline.oldestWaiting.map { topic, written in ([topic], Double(max(0, now - written)) / 1_000) })
    }
}
