/// What one loop counts.
///
/// Instruments are made once, at start, and kept by whoever counts. A name that is registered twice gets the same
/// instrument back. Confined to its loop's thread: neither a lock nor an atomic stands between a count and its use. A
/// process with several loops has a set for each, which are added when somebody asks (`MetricsSnapshot`).
public final class Metrics {
    private typealias Kind = MetricsSnapshot.Kind

    private enum Instrument {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    private struct Family {
        let name: String
        let help: String
        let kind: Kind
        /// Labels as they are written, without braces, and what they count. In the order they were made.
        var series: [(labels: String, instrument: Instrument)] = []
    }

    private var families: [Family] = []
    private var beforeScrape: [() -> Void] = []

    public init() {}

    /// Called on every scrape, before anything is written: for what is measured only when somebody asks.
    public func onScrape(_ body: @escaping () -> Void) { beforeScrape.append(body) }

    // MARK: Counters

    public func counter(_ name: StaticString, _ help: StaticString) -> Counter {
        counter(name, help, labels: "")
    }

    public func counter<Label: MetricLabel>(
        _ name: StaticString, _ help: StaticString, by label: StaticString, _ type: Label.Type = Label.self
    ) -> Labeled<Label, Counter> {
        labeled { counter(name, help, labels: Self.pair(label, $0)) }
    }

    public func counter<First: MetricLabel, Second: MetricLabel>(
        _ name: StaticString, _ help: StaticString, by first: StaticString, _: First.Type, and second: StaticString,
        _: Second.Type
    ) -> Labeled<First, Labeled<Second, Counter>> {
        labeled { (one: First) in
            labeled { counter(name, help, labels: Self.pair(first, one) + "," + Self.pair(second, $0)) }
        }
    }

    /// A counter that somebody else keeps (the kernel, say) and that is asked for at the scrape.
    public func counter(_ name: StaticString, _ help: StaticString, _ measure: @escaping () -> Double) {
        let gauge: Gauge = register(name, help, .counter, "") {
            .gauge(Gauge())
        } as: {
            if case .gauge(let gauge) = $0 { gauge } else { nil }
        }
        gauge.measure = measure
    }

    // MARK: Gauges

    public func gauge(_ name: StaticString, _ help: StaticString) -> Gauge { gauge(name, help, labels: "") }

    /// A gauge that asks for its value at the scrape.
    public func gauge(_ name: StaticString, _ help: StaticString, _ measure: @escaping () -> Double) {
        gauge(name, help, labels: "").measure = measure
    }

    /// One gauge of a family whose labels are no enumeration: names that an operator chose, a topic's say. Whoever makes them
    /// bounds how many there are.
    public func gauge(_ name: StaticString, _ help: StaticString, labels: KeyValuePairs<StaticString, String>) -> Gauge {
        gauge(name, help, labels: labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ","))
    }

    public func gauge<Label: MetricLabel>(
        _ name: StaticString, _ help: StaticString, by label: StaticString, _ type: Label.Type = Label.self
    ) -> Labeled<Label, Gauge> {
        labeled { gauge(name, help, labels: Self.pair(label, $0)) }
    }

    // MARK: Histograms

    public func histogram(
        _ name: StaticString, _ help: StaticString, buckets: [Double] = Histogram.latency
    ) -> Histogram {
        histogram(name, help, labels: "", buckets: buckets)
    }

    public func histogram<Label: MetricLabel>(
        _ name: StaticString, _ help: StaticString, by label: StaticString, _ type: Label.Type = Label.self,
        buckets: [Double] = Histogram.latency
    ) -> Labeled<Label, Histogram> {
        labeled { histogram(name, help, labels: Self.pair(label, $0), buckets: buckets) }
    }

    public func histogram<First: MetricLabel, Second: MetricLabel>(
        _ name: StaticString, _ help: StaticString, by first: StaticString, _: First.Type, and second: StaticString,
        _: Second.Type, buckets: [Double] = Histogram.latency
    ) -> Labeled<First, Labeled<Second, Histogram>> {
        labeled { (one: First) in
            labeled {
                histogram(
                    name, help, labels: Self.pair(first, one) + "," + Self.pair(second, $0), buckets: buckets)
            }
        }
    }

    // MARK: Text

    /// The present value of every instrument. The result may go to another thread and be added to what other loops count.
    public func snapshot() -> MetricsSnapshot {
        for body in beforeScrape { body() }
        return MetricsSnapshot(
            families: families.map { family in
                MetricsSnapshot.Family(
                    name: family.name, help: family.help, kind: family.kind,
                    series: family.series.map { .init(labels: $0.labels, value: Self.value(of: $0.instrument)) })
            })
    }

    /// The body of `/metrics`, of this set alone.
    public func render() -> [UInt8] { snapshot().text() }

    private static func value(of instrument: Instrument) -> MetricsSnapshot.Value {
        switch instrument {
        case .counter(let counter): .count(counter.value)
        case .gauge(let gauge): .number(gauge.value)
        case .histogram(let histogram):
            .histogram(bounds: histogram.bounds, buckets: histogram.buckets, sum: histogram.sum)
        }
    }

    // MARK: Registration

    func counter(_ name: StaticString, _ help: StaticString, labels: String) -> Counter {
        register(name, help, .counter, labels) {
            .counter(Counter())
        } as: {
            if case .counter(let counter) = $0 { counter } else { nil }
        }
    }

    func gauge(_ name: StaticString, _ help: StaticString, labels: String) -> Gauge {
        register(name, help, .gauge, labels) {
            .gauge(Gauge())
        } as: {
            if case .gauge(let gauge) = $0 { gauge } else { nil }
        }
    }

    func histogram(_ name: StaticString, _ help: StaticString, labels: String, buckets: [Double]) -> Histogram {
        register(name, help, .histogram, labels) {
            .histogram(Histogram(bounds: buckets))
        } as: {
            if case .histogram(let histogram) = $0 { histogram } else { nil }
        }
    }

    private func register<Made>(
        _ name: StaticString, _ help: StaticString, _ kind: Kind, _ labels: String, make: () -> Instrument,
        as cast: (Instrument) -> Made?
    ) -> Made {
        let text = name.description
        let index: Int
        if let known = families.firstIndex(where: { $0.name == text }) {
            index = known
        } else {
            index = families.count
            families.append(Family(name: text, help: help.description, kind: kind))
        }
        let instrument: Instrument
        if let known = families[index].series.first(where: { $0.labels == labels }) {
            instrument = known.instrument
        } else {
            instrument = make()
            families[index].series.append((labels, instrument))
        }
        guard let made = cast(instrument) else { preconditionFailure("\(text) is registered as two kinds") }
        return made
    }

    private func labeled<Label: MetricLabel, Made>(_ make: (Label) -> Made) -> Labeled<Label, Made> {
        var instruments: [Label: Made] = [:]
        for label in Label.allCases { instruments[label] = make(label) }
        return Labeled(instruments)
    }

    private static func pair<Label: MetricLabel>(_ name: StaticString, _ label: Label) -> String {
        "\(name)=\"\(escaped(label.rawValue))\""
    }

    /// A label's value in quotes: backslash, quote and newline are escaped.
    static func escaped(_ value: String) -> String {
        var text = ""
        for character in value {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
        return text
    }
}
