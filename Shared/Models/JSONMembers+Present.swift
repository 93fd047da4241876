extension JSONMembers {
    /// As `next`, but skips members whose value is `null`, whatever their names: what a client or a producer sends as null
    /// means the same as what it leaves out.
    public mutating func present(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> JSONString? {
        while let name = try next(bytes, &at) {
            guard try JSON.kind(bytes, &at) == .null else { return name }
            try JSON.null(bytes, &at)
        }
        return nil
    }
}
