/// Reads one HTTP/1.1 answer, whose content ends with its length, its last chunk or its connection (RFC 9112 sections 4, 6 and 7.1). Pure;
/// any split gives the same.
struct AnswerReader: Sendable {
    struct Malformed: Error {}

    /// Bytes of a head, and of a chunk's size line.
    static let longestHead = 32 * 1024

    private enum Phase { case head, plain, counted(Int), size, chunk(Int), chunkEnd, done }

    private(set) var status: Int?
    private(set) var contentType = ""
    /// The answer is whole: nothing of it will follow, whether its connection stays open or not.
    var isComplete: Bool {
        if case .done = phase { return true }
        return false
    }
    private var phase = Phase.head
    private var held: [UInt8] = []

    /// What of the content the bytes hold.
    mutating func read(_ bytes: [UInt8]) throws(Malformed) -> [UInt8] {
        var content: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            switch phase {
            case .head:
                guard let head = try line(&rest, until: [0x0d, 0x0a, 0x0d, 0x0a]) else { return content }
                try readHead(head)
            case .plain:
                content += rest
                return content
            case .counted(let left):
                let part = rest.prefix(left)
                content += part
                rest = rest.dropFirst(part.count)
                phase = part.count == left ? .done : .counted(left - part.count)
            case .size:
                guard let line = try line(&rest, until: [0x0d, 0x0a]) else { return content }
                let digits = line.prefix { $0 != ";" && $0 != " " }
                guard let size = Int(digits, radix: 16), size >= 0 else { throw Malformed() }
                phase = size == 0 ? .done : .chunk(size)
            case .chunk(let left):
                let part = rest.prefix(left)
                content += part
                rest = rest.dropFirst(part.count)
                phase = part.count == left ? .chunkEnd : .chunk(left - part.count)
            case .chunkEnd:
                guard let line = try line(&rest, until: [0x0d, 0x0a]) else { return content }
                guard line.isEmpty else { throw Malformed() }
                phase = .size
            case .done: return content
            }
        }
        return content
    }

    /// Collects bytes up to `end`, which is dropped; nil while it is missing.
    private mutating func line(_ rest: inout ArraySlice<UInt8>, until end: [UInt8]) throws(Malformed) -> String? {
        while let byte = rest.popFirst() {
            held.append(byte)
            if held.suffix(end.count) == end[...] {
                let text = String(decoding: held.dropLast(end.count), as: UTF8.self)
                held = []
                return text
            }
            guard held.count < Self.longestHead else { throw Malformed() }
        }
        return nil
    }

    private mutating func readHead(_ head: String) throws(Malformed) {
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { throw Malformed() }
        phase = .plain
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { throw Malformed() }
            let value = line[line.index(after: colon)...].trimmed.lowercased()
            switch line[..<colon].lowercased() {
            case "content-type": contentType = value
            case "transfer-encoding" where value == "chunked": phase = .size
            case "content-length":
                guard let length = Int(value), length >= 0 else { throw Malformed() }
                if case .plain = phase { phase = length == 0 ? .done : .counted(length) }
            default: break
            }
        }
        // An interim answer is followed by the real one.
        if (100..<200).contains(status) { phase = .head } else { self.status = status }
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}
