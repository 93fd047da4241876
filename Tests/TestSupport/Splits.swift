// Tests/Fuzz compiles this file too, beside the invariants that use it.

/// Byte by byte, in halves, and in pieces whose sizes follow from the bytes themselves.
public func splits(of bytes: [UInt8]) -> [[[UInt8]]] {
    var pieces: [[UInt8]] = []
    var state: UInt32 = bytes.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
    var rest = bytes[...]
    while !rest.isEmpty {
        state = state &* 1_664_525 &+ 1_013_904_223
        let count = Int(state >> 24) % 23 + 1
        pieces.append(Array(rest.prefix(count)))
        rest = rest.dropFirst(count)
    }
    let middle = bytes.count / 2
    return [bytes.map { [$0] }, [Array(bytes[..<middle]), Array(bytes[middle...])], pieces]
}
