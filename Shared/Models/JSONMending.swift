/// Text that is nearly JSON, as JavaScript and editors make it.
extension JSON {
    /// The text without a byte order mark at its start, and with U+FFFD for each half of a surrogate pair that stands alone in
    /// an escape (an emoji that `substring` has cut). Nil if there is nothing to mend. An escape keeps its length.
    static func mended(_ text: [UInt8]) -> [UInt8]? {
        let hasMark = text.starts(with: [0xEF, 0xBB, 0xBF])
        var bytes = hasMark ? Array(text.dropFirst(3)) : text
        var isChanged = hasMark
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "\\") else {
                index &+= 1
                continue
            }
            switch escape(bytes, index) {
            case .pair: index &+= 12
            case .half:
                bytes.replaceSubrange(index &+ 2..<index &+ 6, with: "fffd".utf8)
                isChanged = true
                index &+= 6
            case .other: index &+= 2
            }
        }
        return isChanged ? bytes : nil
    }

    private enum Escape { case pair, half, other }

    private static func escape(_ bytes: [UInt8], _ index: Int) -> Escape {
        guard let first = codeUnit(bytes, index), first & 0xF800 == 0xD800 else { return .other }
        guard first & 0xFC00 == 0xD800, let second = codeUnit(bytes, index &+ 6) else { return .half }
        return second & 0xFC00 == 0xDC00 ? .pair : .half
    }

    /// The code unit of the escape `\uXXXX` that begins at `index`; nil where none does.
    private static func codeUnit(_ bytes: [UInt8], _ index: Int) -> UInt16? {
        guard index &+ 6 <= bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index &+ 1] == UInt8(ascii: "u") else { return nil }
        var value: UInt16 = 0
        for place in index &+ 2..<index &+ 6 {
            guard let digit = hexadecimalDigit(bytes[place]) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }
}

extension DeadLetter {
    /// Why the text of a producer cannot be read as JSON; nil if it can.
    static func unreadable(_ text: [UInt8]) -> DeadLetter? {
        do throws(JSONError) {
            _ = try JSON.document(text.span)
            return nil
        } catch {
            if case .tooDeep = error {
                return DeadLetter(.invalidData, "it is nested deeper than \(JSON.maximumDepth) levels")
            }
        }
        if text.first == 0 {
            return DeadLetter(.notJSON, "the first byte is 0, which looks like a schema registry's format: plain JSON is read")
        }
        if text.starts(with: [0x1F, 0x8B]) { return DeadLetter(.notJSON, "the value is compressed with gzip: plain JSON is read") }
        guard (try? UTF8Span(validating: text.span)) != nil else { return DeadLetter(.notJSON, "the value is not UTF-8") }
        return DeadLetter(.notJSON, text.isEmpty ? "the value is empty" : "the value is not JSON")
    }
}
