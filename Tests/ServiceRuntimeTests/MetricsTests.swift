import ServiceRuntime
import Testing

@Suite struct MetricsTests {
    private enum Transport: String, MetricLabel { case websocket, sse }
    private enum Outcome: String, MetricLabel { case sent, refused = "re\"fused" }

    private func text(_ metrics: Metrics) -> String { String(decoding: metrics.render(), as: UTF8.self) }

    @Test func countersAndGauges() {
        let metrics = Metrics()
        let frames = metrics.counter("carillon_frames_total", "Frames sent.")
        let connections = metrics.gauge("carillon_connections", "Open connections.", by: "transport", Transport.self)
        frames.increment()
        frames.increment(by: 41)
        frames.increment(by: -1)
        connections[.sse].add(2)
        connections[.sse].subtract()
        #expect(
            text(metrics) == """
                # HELP carillon_frames_total Frames sent.
                # TYPE carillon_frames_total counter
                carillon_frames_total 42
                # HELP carillon_connections Open connections.
                # TYPE carillon_connections gauge
                carillon_connections{transport="websocket"} 0
                carillon_connections{transport="sse"} 1

                """)
    }

    @Test func twoLabelsAndEscapes() {
        let metrics = Metrics()
        let family = metrics.counter(
            "carillon_x_total", "X.", by: "transport", Transport.self, and: "outcome", Outcome.self)
        family[.sse][.refused].increment()
        #expect(text(metrics).contains("carillon_x_total{transport=\"sse\",outcome=\"re\\\"fused\"} 1\n"))
        #expect(text(metrics).contains("carillon_x_total{transport=\"websocket\",outcome=\"sent\"} 0\n"))
    }

    @Test func histogramIsCumulativeAndInSeconds() {
        let metrics = Metrics()
        let histogram = metrics.histogram("carillon_wait_seconds", "Waits.", buckets: [0.01, 0.1, 1])
        histogram.observe(milliseconds: 10)
        histogram.observe(.milliseconds(11))
        histogram.observe(0.5)
        histogram.observe(7)
        histogram.observe(milliseconds: -5)
        let expected = """
            # TYPE carillon_wait_seconds histogram
            carillon_wait_seconds_bucket{le="0.01"} 2
            carillon_wait_seconds_bucket{le="0.1"} 3
            carillon_wait_seconds_bucket{le="1"} 4
            carillon_wait_seconds_bucket{le="+Inf"} 5
            """
        #expect(text(metrics).contains(expected))
        #expect(text(metrics).contains("carillon_wait_seconds_count 5\n"))
        #expect(histogram.count == 5)
    }

    @Test func sameNameIsTheSameInstrument() {
        let metrics = Metrics()
        metrics.counter("carillon_y_total", "Y.").increment()
        metrics.counter("carillon_y_total", "Y.").increment()
        #expect(text(metrics).hasSuffix("carillon_y_total 2\n"))
    }

    @Test func measuredAtTheScrape() {
        let metrics = Metrics()
        var queue = 3.5
        var scrapes = 0
        metrics.gauge("carillon_queue", "Queue.") { queue }
        metrics.onScrape { scrapes += 1 }
        #expect(text(metrics).hasSuffix("carillon_queue 3.5\n"))
        queue = .infinity
        #expect(text(metrics).hasSuffix("carillon_queue +Inf\n"))
        #expect(scrapes == 2)
    }
}
