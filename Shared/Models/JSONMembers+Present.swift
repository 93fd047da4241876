extension JSONMembers {
    /// The next member whose value is not `null`, as `next`: what a client or a producer sends as null, and what it leaves out,
    /// mean the same. Members of `null` are stepped over, whatever their names.
    public mutating func present(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> JSONString? {
        while let name = try next(bytes, &at) {
            guard try JSON.kind(bytes, &at) == .null else { return name }
            try JSON.null(bytes, &at)
        }
        return nil
    }
}
