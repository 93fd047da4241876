internal import ServiceRuntime

/// A gauge whose labels a broker decides about: so many series at most. What is beyond them is told together under `other`. Confined to the
/// loop's thread.
final class BoundedGauge {
    static let maximumSeries = 500

    private let other: [String]
    private let joining: (Double, Double) -> Double
    private let make: ([String]) -> Gauge
    private var gauges: [[String]: Gauge] = [:]

    /// - Parameters:
    ///   - other: the labels' values for what is beyond the bound.
    ///   - joining: what two values of it are together: their sum, or the greater.
    ///   - make: makes the series that has these values of its labels.
    init(other: [String], joining: @escaping (Double, Double) -> Double, make: @escaping ([String]) -> Gauge) {
        self.other = other
        self.joining = joining
        self.make = make
    }

    /// What all of it is now; a series that is not named stands at 0 from now on.
    func set(_ values: [(series: [String], value: Double)]) {
        // What was another member's meanwhile is its to tell.
        for gauge in gauges.values { gauge.set(0) }
        var beyond: Double = 0
        for (series, value) in values {
            if let gauge = gauge(series) { gauge.set(value) } else { beyond = joining(beyond, value) }
        }
        if beyond > 0 { gauge(other, always: true)?.set(beyond) }
    }

    private func gauge(_ series: [String], always: Bool = false) -> Gauge? {
        if let known = gauges[series] { return known }
        guard always || gauges.count < Self.maximumSeries else { return nil }
        let gauge = make(series)
        gauges[series] = gauge
        return gauge
    }
}
