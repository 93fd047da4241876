internal import Foundation

/// A generator whose numbers follow from its seed (SplitMix64): all that is random in the tests comes from one.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// The seed of a run: `TEST_SEED`, which replays every property, or another for each run.
public enum TestSeed {
    public static let value =
        ProcessInfo.processInfo.environment["TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0 ... .max)

    /// The seed; says so beside the property's name, so that what fails can be run again.
    public static func announced(_ property: String = #function) -> UInt64 {
        print("TEST_SEED=\(value) \(property)")
        return value
    }
}
