/// Redis's time as one process believes it. That is the time that Redis tells, except after a step of more than an hour: such a
/// step is believed only after it has lasted. Pure: it is told both clocks, Redis's in ms since 1970, and the process's own in
/// ms of a clock that never steps.
public struct SteadyClock: Equatable, Sendable {
    /// A larger difference between the time that was expected and the time that Redis tells is a step.
    public static let tolerance: Int64 = 3_600_000
    /// For how long a step must last before it is believed.
    public static let patience: UInt64 = 600_000

    private struct Reading: Equatable {
        var time: Int64
        var at: UInt64

        func time(at now: UInt64) -> Int64 { time &+ Int64(clamping: now > at ? now - at : 0) }
    }

    private var believed: Reading?
    /// The time that Redis tells since the step.
    private var step: Reading?

    public init() {}

    /// The time that Redis is expected to tell now; 0 before it has told any.
    public func time(at now: UInt64) -> Int64 { believed?.time(at: now) ?? 0 }

    /// Redis tells another time than the one that is believed.
    public var isStepped: Bool { step != nil }

    /// Redis has told this time. `before`: the time that it had told others last, from which a new process learns; 0 if that is not
    /// known.
    public mutating func told(_ time: Int64, before: Int64 = 0, at now: UInt64) {
        if believed == nil, before > 0 { believed = Reading(time: before, at: now) }
        guard let believed, abs(time &- believed.time(at: now)) > Self.tolerance else {
            self.believed = Reading(time: time, at: now)
            return step = nil
        }
        guard let step, abs(time &- step.time(at: now)) <= Self.tolerance else {
            return step = Reading(time: time, at: now)
        }
        guard now >= step.at, now - step.at >= Self.patience else { return }
        self.believed = Reading(time: time, at: now)
        self.step = nil
    }
}
