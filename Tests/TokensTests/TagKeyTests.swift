import Testing

@testable import Tokens

@Suite struct TagKeyTests {
    /// From `openssl mac … SIPHASH`; the last is the example of the paper, appendix A.
    @Test(arguments: [
        (0, "310e0edd47db6f72"), (1, "fd67dc93c539f874"), (2, "5a4fa9d909806c0d"), (7, "37d1018bf50002ab"),
        (8, "6224939a79f5f593"), (15, "e545be4961ca29a1"),
    ])
    func vectors(_ count: Int, _ expected: String) {
        let key = TagKey(words: Array(0..<16))
        let hash = key.hash(Array<UInt8>(0..<UInt8(count)).span)
        #expect(hexadecimal((0..<8).map { UInt8(truncatingIfNeeded: hash >> UInt64(8 * $0)) }) == expected)
    }

    @Test func tags() throws {
        let key = TagKey()
        var bytes = Array("id: 1.7-3".utf8)
        key.appendTag(to: &bytes, from: 4)
        let tagged = String(decoding: bytes.dropFirst(4), as: UTF8.self)
        #expect(tagged.hasPrefix("1.7-3.") && tagged.utf8.count == 5 + TagKey.tagLength && key.confirms(tagged))
        #expect(!TagKey().confirms(tagged))
        for other in ["", ".", "1.7-3", "1.7-4." + tagged.suffix(11), tagged + "A", String(tagged.dropLast()), "\u{FFFD}" + tagged] {
            #expect(!key.confirms(other), "\(other)")
        }
        #expect(TagKey(text: key.text) == key && key.text.utf8.count == 22)
        #expect(TagKey(text: "") == nil && TagKey(text: key.text + "AA") == nil && TagKey(text: "!") == nil)
        var number: [UInt8] = []
        appendBase64url(0x0102_0304_0506_0708, to: &number)
        #expect(String(decoding: number, as: UTF8.self) == base64url([1, 2, 3, 4, 5, 6, 7, 8]))
    }
}
