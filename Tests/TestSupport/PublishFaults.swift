internal import Foundation

/// What a `Wire` before a Redis does to the messages that this publishes (`smessage`). All else passes.
public struct PublishFaults: Sendable {
    /// Of 100 messages, how many are lost.
    public var lost: Int
    /// Of 100 of the others, how many come `delay` seconds late.
    public var late: Int
    public var delay: Double
    /// Which they are follows from it, for each connection alike.
    public var seed: UInt64

    public init(lost: Int, late: Int = 0, delay: Double = 3, seed: UInt64 = TestSeed.announced("faults")) {
        self.lost = lost
        self.late = late
        self.delay = delay
        self.seed = seed
    }
}

/// The answers of one connection of a Redis, on their way through `PublishFaults`.
struct FaultyAnswers {
    private static let published = Array("*3\r\n$8\r\nsmessage".utf8)

    let faults: PublishFaults
    /// What has come of a value that is not all there.
    private var pending: [UInt8] = []
    private var held: [(due: Double, bytes: [UInt8])] = []

    private var random: SeededGenerator

    init(_ faults: PublishFaults) {
        self.faults = faults
        random = SeededGenerator(seed: faults.seed)
    }

    /// Takes what has come; answers what passes at once.
    mutating func take(_ bytes: ArraySlice<UInt8>, now: Double) -> [UInt8] {
        pending += bytes
        var passed: [UInt8] = []
        var at = 0
        while let end = Self.end(of: pending, at) {
            let value = pending[at..<end]
            at = end
            if !value.starts(with: Self.published) {
                passed += value
            } else if Int.random(in: 0..<100, using: &random) >= faults.lost {
                if Int.random(in: 0..<100, using: &random) < faults.late {
                    held.append((now + faults.delay, Array(value)))
                } else {
                    passed += value
                }
            }
        }
        pending.removeFirst(at)
        return passed
    }

    /// ms until something that is late is due; -1: nothing is late.
    func wait(now: Double) -> Int32 { held.first.map { Int32(max(0, ($0.due - now) * 1000) + 1) } ?? -1 }

    /// What was late, and is due.
    mutating func due(now: Double) -> [UInt8] {
        var passed: [UInt8] = []
        while let first = held.first, first.due <= now { passed += held.removeFirst().bytes }
        return passed
    }

    /// Where the RESP value that begins at `start` ends; nil if it is not all there.
    private static func end(of bytes: [UInt8], _ start: Int) -> Int? {
        guard start < bytes.count, let line = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let count = Int(String(decoding: bytes[(start + 1)..<(line - 1)], as: UTF8.self)) ?? 0
        var at = line + 1
        switch bytes[start] {
        case UInt8(ascii: "$"):
            if count >= 0 { at += count + 2 }
            return at <= bytes.count ? at : nil
        case UInt8(ascii: "*"):
            for _ in 0..<max(0, count) {
                guard let next = end(of: bytes, at) else { return nil }
                at = next
            }
            return at
        default: return at
        }
    }
}
