/// What a set of metrics stood at, as a value, and its text form for Prometheus (exposition format 0.0.4).
public struct MetricsSnapshot: Sendable {
    enum Kind: String { case counter, gauge, histogram }

    enum Value: Equatable {
        case count(UInt64)
        case number(Double)
        /// `buckets` has one more than `bounds`: what is above them all.
        case histogram(bounds: [Double], buckets: [UInt64], sum: Double)
    }

    struct Series {
        /// As they are written, without braces.
        let labels: String
        var value: Value
    }

    struct Family {
        let name: String
        let help: String
        let kind: Kind
        var series: [Series]
    }

    private(set) var families: [Family]

    init(families: [Family] = []) { self.families = families }

    /// Adds what another loop of the same process counted: series of the same name and labels are summed.
    public mutating func add(_ other: MetricsSnapshot) {
        for family in other.families {
            guard let index = families.firstIndex(where: { $0.name == family.name && $0.kind == family.kind }) else {
                families.append(family)
                continue
            }
            for series in family.series { families[index].add(series) }
        }
    }

    /// The body of `/metrics`.
    public func text() -> [UInt8] {
        var text = ""
        text.reserveCapacity(8192)
        for family in families {
            text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.kind.rawValue)\n"
            for series in family.series { Self.append(series, family.name, to: &text) }
        }
        return Array(text.utf8)
    }

    private static func append(_ series: Series, _ name: String, to text: inout String) {
        let labels = series.labels
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        switch series.value {
        case .count(let count): text += "\(name)\(braces) \(count)\n"
        case .number(let value): text += "\(name)\(braces) \(number(value))\n"
        case .histogram(let bounds, let buckets, let sum):
            let prefix = labels.isEmpty ? "" : labels + ","
            var total: UInt64 = 0
            for (bound, count) in zip(bounds, buckets) {
                total &+= count
                text += "\(name)_bucket{\(prefix)le=\"\(number(bound))\"} \(total)\n"
            }
            let count = buckets.reduce(0, &+)
            text += "\(name)_bucket{\(prefix)le=\"+Inf\"} \(count)\n"
            text += "\(name)_sum\(braces) \(number(sum))\n\(name)_count\(braces) \(count)\n"
        }
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return value.description
    }
}

extension MetricsSnapshot.Family {
    fileprivate mutating func add(_ other: MetricsSnapshot.Series) {
        guard let index = series.firstIndex(where: { $0.labels == other.labels }) else { return series.append(other) }
        series[index].value.add(other.value)
    }
}

extension MetricsSnapshot.Value {
    /// Loops run the same code, so kinds and bounds agree; where they do not, what stands here stays.
    fileprivate mutating func add(_ other: Self) {
        switch (self, other) {
        case (.count(let mine), .count(let its)): self = .count(mine &+ its)
        case (.number(let mine), .number(let its)): self = .number(mine + its)
        case (.histogram(let bounds, let mine, let sum), .histogram(let others, let its, let more)) where bounds == others:
            self = .histogram(bounds: bounds, buckets: zip(mine, its).map { $0 &+ $1 }, sum: sum + more)
        default: break
        }
    }
}
