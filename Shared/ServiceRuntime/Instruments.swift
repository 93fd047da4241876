/// A count that only grows. Confined to its loop's thread, as all instruments are: an increment is one addition.
public final class Counter {
    // Accesses never overlap: every access is a single load or store on the loop's thread.
    @exclusivity(unchecked) @usableFromInline var count: UInt64 = 0

    init() {}

    public var value: UInt64 { count }

    @inlinable public func increment() { count &+= 1 }

    /// A negative amount counts as nothing: a counter never falls.
    @inlinable public func increment(by amount: some BinaryInteger) { count &+= UInt64(clamping: amount) }
}

/// A value that rises and falls.
public final class Gauge {
    // Accesses never overlap, as for Counter.
    @exclusivity(unchecked) @usableFromInline var current: Double = 0
    /// Called at the scrape, for a value that somebody else already counts.
    var measure: (() -> Double)?

    init() {}

    public var value: Double { measure?() ?? current }

    @inlinable public func set(_ value: Double) { current = value }
    @inlinable public func set(_ value: some BinaryInteger) { current = Double(value) }
    @inlinable public func add(_ amount: Double = 1) { current += amount }
    @inlinable public func subtract(_ amount: Double = 1) { current -= amount }
}

/// Observations in fixed buckets. Time is in seconds, size in bytes.
public final class Histogram {
    /// From a quarter of a millisecond to ten seconds.
    public static let latency: [Double] = [
        0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]
    /// Buckets for how many of something were together: records of a batch, notifications of a publish.
    public static let sizes: [Double] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

    let bounds: [Double]
    // Accesses never overlap, as for Counter. The last bucket is the one without a bound.
    @exclusivity(unchecked) private(set) var buckets: [UInt64]
    @exclusivity(unchecked) private(set) var sum: Double = 0

    init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy(<), "bounds rise")
        self.bounds = bounds
        buckets = Array(repeating: 0, count: bounds.count + 1)
    }

    public var count: UInt64 { buckets.reduce(0, &+) }

    public func observe(_ value: Double) { observe(value, times: 1) }

    private func observe(_ value: Double, times: Int) {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if value <= bounds[middle] { high = middle } else { low = middle + 1 }
        }
        buckets[low] &+= UInt64(clamping: times)
        sum += value * Double(times)
    }

    /// Observes a span in milliseconds. A negative one (a clock that was set back) counts as 0. `times`: how often, from 0 on.
    public func observe(milliseconds: some BinaryInteger, times: Int = 1) {
        observe(max(0, Double(milliseconds)) / 1000, times: times)
    }

    public func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        observe(Double(seconds) + Double(attoseconds) / 1e18)
    }
}

/// The values of a metric's label: an enumeration of the source code, so that no person, topic or text becomes one.
public protocol MetricLabel: RawRepresentable<String>, CaseIterable, Hashable, Sendable {}

/// One instrument for each value of a label, all of them present from the start.
/// Whoever counts often keeps `family[.value]` in a property.
public final class Labeled<Label: MetricLabel, Instrument> {
    private let instruments: [Label: Instrument]

    init(_ instruments: [Label: Instrument]) { self.instruments = instruments }

    public subscript(label: Label) -> Instrument {
        guard let instrument = instruments[label] else { preconditionFailure("allCases holds every case") }
        return instrument
    }
}
