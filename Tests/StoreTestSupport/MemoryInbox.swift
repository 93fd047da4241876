import Models
import Store

/// One person's inbox in memory: what `InboxStore` promises, in the simplest form. Pure.
struct MemoryInbox {
    let epoch: UInt64
    private let limits: InboxLimits
    private var offset: UInt64 = 0
    private var floor: UInt64 = 1
    private var entries: [InboxEntry] = []
    private var seen: [[UInt8]: UInt64] = [:]
    private var acked: UInt64 = 0
    private var taken: UInt64 = 0
    private var read: UInt64 = 0
    /// Read alone, above `read`.
    private var marks: Set<UInt64> = []
    private var revision: UInt64 = 0

    init(epoch: UInt64, limits: InboxLimits) {
        self.epoch = epoch
        self.limits = limits
    }

    var unread: Int { entries.count { $0.offset > read && !marks.contains($0.offset) } }
    private var state: InboxState {
        InboxState(epoch: epoch, offset: offset, floor: floor, unread: unread, revision: revision)
    }
    private var counts: InboxCounts { InboxCounts(unread: unread, revision: revision) }

    private func isOpen(_ offset: UInt64) -> Bool {
        if offset <= max(acked, taken, read) || marks.contains(offset) { return false }
        return offset < floor || entries.contains { $0.offset == offset }
    }

    // MARK: Appending

    mutating func append(_ deliveries: [Delivery], at now: Int64) -> Appended {
        var answers: [Delivered.Entry] = []
        let known = seen
        for delivery in deliveries {
            if let old = seen[delivery.id.bytes] {
                // One that this very call has appended is as open as any that is new.
                answers.append(.init(isFresh: false, offset: old, isOpen: known[delivery.id.bytes] == nil || isOpen(old)))
                continue
            }
            offset += 1
            seen[delivery.id.bytes] = offset
            entries.append(
                InboxEntry(
                    offset: offset, id: delivery.id.bytes, bytes: Array(delivery.bytes[delivery.range]), appended: now,
                    accepted: delivery.accepted))
            answers.append(.init(isFresh: true, offset: offset))
        }
        if answers.contains(where: \.isFresh) { trim(at: now) }
        return Appended(epoch: epoch, unread: unread, entries: answers)
    }

    private mutating func trim(at now: Int64) {
        let tooMany = max(0, entries.count - limits.maxEntries)
        let tooOld = entries.prefix { $0.appended < now - limits.maxAge }.count
        guard max(tooMany, tooOld) > 0 else { return }
        entries.removeFirst(max(tooMany, tooOld))
        floor = entries.first?.offset ?? offset + 1
        marks = marks.filter { $0 >= floor }
    }

    // MARK: Reading

    func page(from start: InboxStart, limit: Int, bytes: Int) -> InboxPage {
        let after: UInt64
        switch start {
        case .present: return InboxPage(state: state, recovered: false, isComplete: true, entries: [])
        case .floor: after = floor - 1
        case .after(let position):
            let isKnown = position.epoch == epoch || (position.epoch == 0 && position.offset == 0)
            guard isKnown, position.offset <= offset, position.offset + 1 >= floor else {
                return InboxPage(state: state, recovered: false, isComplete: true, entries: [])
            }
            after = position.offset
        }
        let rest = entries.filter { $0.offset > after }
        let some = Self.fitting(rest, limit: limit, bytes: bytes)
        return InboxPage(state: state, recovered: true, isComplete: some.count == rest.count, entries: Array(some))
    }

    func newest(after position: StreamPosition, limit: Int, bytes: Int) -> InboxPage {
        guard position.epoch == epoch, position.offset <= offset, position.offset + 1 >= floor else {
            return InboxPage(state: state, recovered: false, isComplete: true, entries: [])
        }
        let rest = entries.filter { $0.offset > position.offset }
        let some = Self.fitting(rest.reversed(), limit: limit, bytes: bytes)
        return InboxPage(state: state, recovered: true, isComplete: some.count == rest.count, entries: some.reversed())
    }

    /// The first of them, up to the one that passes the bytes.
    private static func fitting(_ entries: [InboxEntry], limit: Int, bytes: Int) -> ArraySlice<InboxEntry> {
        var size = 0
        var count = 0
        while count < min(limit, entries.count), size < bytes {
            size += entries[count].bytes.count + entries[count].id.count
            count += 1
        }
        return entries.prefix(count)
    }

    // MARK: Marking

    mutating func acknowledge(_ selection: InboxSelection, sees: Bool) -> Acknowledged {
        var to: UInt64 = 0
        switch selection {
        case .upTo(let position): if position.epoch == epoch, position.offset <= offset { to = position.offset }
        case .ids(let ids): to = found(ids).last ?? 0
        }
        let isFirst = to > acked
        acked = max(acked, to)
        if sees { taken = max(taken, to) }
        let accepted = entries.first { $0.offset == to }?.accepted ?? 0
        return Acknowledged(counts: counts, offset: to, accepted: accepted, isFirst: isFirst)
    }

    mutating func mark(_ change: InboxChange) -> InboxCounts {
        let before = unread
        switch change {
        case .read(.upTo(let position)):
            if position.epoch == epoch, position.offset > read, position.offset <= offset {
                read = position.offset
                (acked, taken) = (max(acked, read), max(taken, read))
            }
        case .read(.ids(let ids)): marks.formUnion(found(ids).filter { $0 > read })
        case .archive(let ids):
            let gone = Set(found(ids))
            entries.removeAll { gone.contains($0.offset) }
        case .unread(let ids):
            let again = Set(found(ids))
            if let lowest = again.filter({ $0 <= read }).min() {
                marks.formUnion(entries.map(\.offset).filter { $0 >= lowest && $0 <= read })
                read = lowest - 1
            }
            marks.subtract(again)
        }
        if unread != before { revision += 1 }
        if unread == 0, !change.isUnread { read = offset }
        marks = marks.filter { offset in offset > read && entries.contains { $0.offset == offset } }
        return counts
    }

    /// Offsets of those that are there, rising.
    private func found(_ ids: [NotificationID]) -> [UInt64] {
        let wanted = Set(ids.map(\.bytes))
        return entries.filter { wanted.contains($0.id) }.map(\.offset)
    }
}

extension InboxChange {
    fileprivate var isUnread: Bool { if case .unread = self { true } else { false } }
}
