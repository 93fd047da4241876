/// What bounds the work of `Lanes`. Each number is a limit of the owner's, and has its name there.
public struct LaneBounds: Sendable {
    /// Calls under way at once, one a key.
    public let calls: Int
    /// Bytes of records in them; one call more may pass it.
    public let bytes: Int
    /// Records in one call.
    public let callRecords: Int
    /// Bytes of records in one call, beside the first.
    public let callBytes: Int
    /// How often a call that fails by its own fault is made.
    public let attempts: Int

    public init(calls: Int, bytes: Int = .max, callRecords: Int = 1, callBytes: Int = .max, attempts: Int) {
        self.calls = calls
        self.bytes = bytes
        self.callRecords = callRecords
        self.callBytes = callBytes
        self.attempts = attempts
    }
}
