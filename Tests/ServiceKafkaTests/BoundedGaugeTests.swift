import ServiceRuntime
import Testing

@testable import ServiceKafka

@Suite struct BoundedGaugeTests {
    private let metrics = Metrics()

    private func gauge(joining: @escaping (Double, Double) -> Double) -> BoundedGauge {
        BoundedGauge(other: ["other"], joining: joining) { [metrics] in metrics.gauge("lag", "Lag.", labels: ["partition": $0[0]]) }
    }

    private func lags(_ values: [Double]) -> [(series: [String], value: Double)] {
        values.enumerated().map { (["\($0.offset)"], $0.element) }
    }

    /// The value of each series, by its labels.
    private var series: [String: Double] {
        var series: [String: Double] = [:]
        for line in String(decoding: metrics.render(), as: UTF8.self).split(separator: "\n") where line.hasPrefix("lag{") {
            let parts = line.dropFirst(4).split(separator: "} ")
            series[String(parts[0])] = parts.last.flatMap { Double($0) }
        }
        return series
    }

    @Test func whatIsBeyondFiveHundredSeriesIsToldTogether() {
        let gauge = gauge(joining: +)
        gauge.set(lags(Array(repeating: 2, count: 500)))
        #expect(series.count == 500 && series["partition=\"other\""] == nil && series["partition=\"499\""] == 2)
        gauge.set(lags(Array(repeating: 3, count: 620)))
        #expect(series.count == 501 && series["partition=\"499\""] == 3 && series["partition=\"500\""] == nil)
        #expect(series["partition=\"other\""] == 360)
        // A rebalance took them away; who has a series keeps it, however many others come.
        gauge.set([(["500"], 7), (["7"], 1)])
        #expect(series.count == 501 && series["partition=\"other\""] == 7)
        #expect(series["partition=\"7\""] == 1 && series["partition=\"499\""] == 0)
        gauge.set([])
        #expect(series.count == 501 && series.values.allSatisfy { $0 == 0 })
    }

    @Test func ofAgesTheGreatestIsTold() {
        let gauge = gauge(joining: max)
        gauge.set(lags((0..<503).map(Double.init)))
        #expect(series["partition=\"other\""] == 502)
    }
}
