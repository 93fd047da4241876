import Foundation
import Settings
import TestSupport
import Testing

@testable import Redis

@Suite struct RESPTests {
    @Test func writesCommands() {
        var writer = RESPWriter()
        writer.begin(arguments: 7)
        writer.argument("SET" as StaticString)
        writer.argument("schlüssel")
        writer.argument([1, 2, 3])
        writer.argument([9, 8, 7, 6], 1..<3)
        writer.argument(0)
        writer.argument(Int64.min)
        writer.beginArgument(length: 3)
        writer.append("a")
        writer.append(Int64(42))
        writer.endArgument()
        let expected: [UInt8] =
            Array("*7\r\n$3\r\nSET\r\n$10\r\nschlüssel\r\n$3\r\n".utf8) + [1, 2, 3] + Array("\r\n$2\r\n".utf8) + [8, 7]
            + Array("\r\n$1\r\n0\r\n$20\r\n-9223372036854775808\r\n$3\r\na42\r\n".utf8)
        #expect(writer.missing == 0)
        #expect(writer.take() == expected)
        #expect(writer.count == 0)
    }

    @Test func writesMoreThanItsFirstBuffer() {
        var writer = RESPWriter()
        let large = [UInt8](repeating: 7, count: 300_000)
        for _ in 0..<3 {
            writer.begin(arguments: 1)
            writer.argument(large)
        }
        let one = Array("*1\r\n$300000\r\n".utf8) + large + Array("\r\n".utf8)
        #expect(writer.take() == one + one + one)
        writer.begin(arguments: 1)
        writer.argument("PING")
        #expect(writer.take() == Array("*1\r\n$4\r\nPING\r\n".utf8))
    }

    @Test(arguments: [Int64.min, -10, -1, 0, 9, 10, 99, 100, 1_732_186_000_000, .max])
    func countsDigits(number: Int64) {
        #expect(RESPWriter.digits(number) == String(number).utf8.count)
        #expect(decimal(Array(String(number).utf8)) == number)
    }

    @Test(arguments: ["", "-", "1x", "+1", "9223372036854775808", "-9223372036854775809", "99999999999999999999", " 1"])
    func refusesWhatIsNoNumber(text: String) {
        #expect(decimal(Array(text.utf8)) == nil)
    }

    @Test func readsTheSameWhateverTheSplit() throws {
        let bytes = Array("+OK\r\n:-7\r\n$-1\r\n*3\r\n$2\r\nab\r\n*-1\r\n*2\r\n:1\r\n-ERR no\r\n-OOM x\r\n$0\r\n\r\n*0\r\n".utf8)
        let expected: [RedisValue] = [
            .status("OK"), .integer(-7), .null, .array([.bytes([97, 98]), .null, .array([.integer(1), .error("ERR no")])]),
            .error("OOM x"), .bytes([]), .array([]),
        ]
        for size in 1...bytes.count {
            let reader = ReplyReader()
            var values: [RedisValue] = []
            var at = 0
            while at < bytes.count {
                let end = min(at + size, bytes.count)
                try reader.feed(bytes.span.extracting(at..<end))
                while let value = try reader.next() { values.append(value) }
                at = end
            }
            #expect(values == expected, "in pieces of \(size)")
        }
    }

    @Test func garbageIsAnErrorAndNoTrap() {
        var random = SeededGenerator(seed: TestSeed.announced())
        for _ in 0..<2_000 {
            let reader = ReplyReader()
            var bytes = Array("*2\r\n$3\r\nabc\r\n:12\r\n+x\r\n".utf8)
            for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            // A count of a thousand million would be allocated: such numbers only a Redis may send.
            if bytes.filter({ $0 >= 0x30 && $0 <= 0x39 }).count > 5 { continue }
            do {
                try reader.feed(bytes.span)
                while try reader.next() != nil {}
            } catch {}
        }
        let reader = ReplyReader()
        #expect(throws: ReplyReader.Malformed.self) {
            try reader.feed(Array("HTTP/1.1 400\r\n".utf8).span)
            _ = try reader.next()
        }
    }

    @Test func namesScriptsAsRedisDoes() {
        #expect(sha1Hex("") == Array("da39a3ee5e6b4b0d3255bfef95601890afd80709".utf8))
        #expect(sha1Hex("return 1") == Array("e0e1f9fabfc9d4800c877a703b823ac0578ff8db".utf8))
        for length in [55, 56, 63, 64, 65, 119, 120, 1_000] {
            let text = String(repeating: "a", count: length)
            #expect(sha1Hex(text).count == 40)
        }
    }
}

@Suite struct RedisPartsTests {
    @Test func backsOffWithinBounds() {
        var random = SeededGenerator(seed: TestSeed.announced())
        var backoff = Backoff(limit: .seconds(1))
        var cap = 50.0
        for _ in 0..<10 {
            let delay = backoff.delay(using: &random) / .milliseconds(1)
            #expect(delay >= cap / 2 && delay <= cap + 1)
            cap = min(cap * 2, 1_000)
        }
        backoff.reset()
        #expect(backoff.delay(using: &random) <= .milliseconds(51))
        backoff.slowDown()
        #expect(backoff.delay(using: &random) >= .milliseconds(500))
    }

    @Test func queuesInOrder() {
        var queue = FIFO<Int>()
        var next = 0
        var expected = 0
        for round in 0..<5_000 {
            for _ in 0..<round % 7 {
                queue.append(next)
                next += 1
            }
            for _ in 0..<round % 6 {
                if let value = queue.removeFirst() {
                    #expect(value == expected)
                    expected += 1
                }
            }
            #expect(queue.count == next - expected)
        }
        while let value = queue.removeFirst() {
            #expect(value == expected)
            expected += 1
        }
        #expect(expected == next)
        #expect(queue.first == nil)
    }

    private func endpoint(_ text: String) throws -> RedisEndpoint {
        try RedisEndpoint(#require(ServiceURL(text, ports: ["redis": 6379, "rediss": 6379])))
    }

    @Test func readsItsURL() throws {
        let plain = try endpoint("redis://localhost")
        #expect(plain.host == "localhost" && plain.port == 6379 && plain.database == 0 && plain.password == nil)
        let full = try endpoint("redis://me:p%40ss@[::1]:7000/3")
        #expect(full.host == "::1" && full.port == 7000 && full.database == 3)
        #expect(full.user == "me" && full.password == "p@ss")
        #expect(try endpoint("redis://:secret@h/").password == "secret")
        #expect(full.tls == nil)
        #expect(try endpoint("rediss://h").tls != nil)
        let secure = try #require(ServiceURL("rediss://h", ports: ["rediss": 6379]))
        #expect(throws: SettingsError.self) { try RedisEndpoint(secure, authorities: "/nowhere") }
        #expect(throws: SettingsError.self) { try endpoint("redis://h/x") }
        #expect(throws: SettingsError.self) { try endpoint("redis://h/-1") }
    }

    @Test func tellsOutagesFromFaults() {
        for text in ["LOADING Redis is loading", "OOM command not allowed", "READONLY You can't write", "MISCONF x", "BUSY Redis"] {
            #expect(RedisError.server(text).isOutage)
        }
        #expect(RedisError.timedOut.isOutage && RedisError.disconnected.isOutage && RedisError.unavailable.isOutage)
        #expect(!RedisError.server("WRONGTYPE Operation").isOutage)
        #expect(!RedisError.server("ERR unknown command").isOutage)
        #expect(RedisError.server("ERR unknown command 'secret'").description == "Redis answered ERR")
    }
}
