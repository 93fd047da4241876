/// Keeps records of one key in order where one of them is for an audience whose members must be read page by page.
///
/// A record for named people goes at once; only behind a reading of the same key does it wait, until the reading has put all
/// members into their lines, which keep the order from there. Posts for one audience that stand together are read together.
struct RecordOrder {
    private enum Step {
        case direct(Int)
        case reading(AudienceReading)
    }

    private struct Chain {
        var head: AudienceReading
        var isUnderWay = false
        var rest: [Step] = []
    }

    private var chains: [[UInt8]: Chain] = [:]
    /// Keys whose reading may begin, in order.
    private var ready: [[UInt8]] = []

    /// No reading is waiting or under way.
    var isEmpty: Bool { chains.isEmpty }

    /// A record for named people: true if it may go now, else it comes back from `finished`.
    mutating func admit(direct record: Int, key: [UInt8]?) -> Bool {
        if chains.isEmpty { return true }
        let key = key ?? []
        guard chains[key] != nil else { return true }
        chains[key]?.rest.append(.direct(record))
        return false
    }

    /// A record for an audience.
    mutating func admit(_ record: Int, audience: String, key: [UInt8]?) {
        let key = key ?? []
        let reading = AudienceReading(key: key, audience: audience, records: [record])
        guard var chain = chains[key] else {
            chains[key] = Chain(head: reading)
            ready.append(key)
            return
        }
        // Taken out while it changes, so that nothing is copied.
        chains[key] = nil
        if case .reading(var last) = chain.rest.last, last.audience == audience {
            last.records.append(record)
            chain.rest[chain.rest.count - 1] = .reading(last)
        } else if chain.rest.isEmpty, !chain.isUnderWay, chain.head.audience == audience {
            chain.head.records.append(record)
        } else {
            chain.rest.append(.reading(reading))
        }
        chains[key] = chain
    }

    /// A reading that may begin; it is then under way.
    mutating func begin() -> AudienceReading? {
        guard !ready.isEmpty else { return nil }
        let key = ready.removeFirst()
        chains[key]?.isUnderWay = true
        return chains[key]?.head
    }

    /// A reading has come to its end. Answers the records behind it that may go now.
    mutating func finished(_ reading: AudienceReading) -> [Int] {
        guard let chain = chains.removeValue(forKey: reading.key) else { return [] }
        var direct: [Int] = []
        for (index, step) in chain.rest.enumerated() {
            switch step {
            case .direct(let record): direct.append(record)
            case .reading(let next):
                chains[reading.key] = Chain(head: next, rest: Array(chain.rest[(index + 1)...]))
                ready.append(reading.key)
                return direct
            }
        }
        return direct
    }
}
