import HTTP
import Models
import Network
import ServiceRuntime
import TestSupport
import Testing

@testable import Gateway

/// The limits' own states, without a socket.
@Suite struct LimitStateTests {
    @Test func noSecondTakesMoreThanTheRate() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        for rate in [10, 17, 100, 2_000] {
            var bucket = TokenBucket(rate: rate, now: 5)
            var taken: [UInt64] = []
            var now: UInt64 = 5
            for _ in 0..<20_000 {
                if Int.random(in: 0..<8, using: &random) == 0 { now += UInt64.random(in: 0...50, using: &random) }
                if bucket.admit(now: now) == .taken { taken.append(now) }
            }
            var first = 0
            for (index, time) in taken.enumerated() {
                while time - taken[first] >= 1000 { first += 1 }
                #expect(index - first + 1 <= rate, "TEST_SEED=\(seed)")
            }
            // And under steady pressure it takes what it may.
            let seconds = Double(now - 5) / 1000
            #expect(Double(taken.count) >= min(20_000 * 0.5, seconds * Double(rate) * 0.7), "rate \(rate) TEST_SEED=\(seed)")
        }
    }

    @Test func whoIsRefusedIsSpreadOverTheTimeThatAllNeed() {
        var bucket = TokenBucket(rate: 100, now: 0)
        let first = (0..<10).map { _ in bucket.admit(now: 0) }
        #expect(first.allSatisfy { $0 == .taken })
        let next = (0..<500).map { _ in bucket.admit(now: 0) }
        #expect(next.first == .refused(spread: 10) && next.last == .refused(spread: 5_000))
        let many = (0..<100_000).map { _ in bucket.admit(now: 0) }
        #expect(many.last == .refused(spread: TokenBucket.longestSpread))
        // A clock that stands still gives nothing.
        let later = [0, 11, 12, 12].map { bucket.admit(now: $0) == .taken }
        #expect(later == [false, false, true, false])
    }

    @Test func aDrainIsSpreadOverItsWindow() {
        let many = DrainPace(count: 5_000, window: 20_000)
        #expect([0, 1_000, 10_000, 19_999, 20_000].map { many.due(elapsed: $0) } == [0, 250, 2_500, 4_999, 5_000])
        let few = DrainPace(count: 30, window: 20_000)
        #expect([0, 50, 299, 300].map { few.due(elapsed: $0) } == [0, 5, 29, 30])
        #expect(DrainPace(count: 7, window: 0).due(elapsed: 0) == 7)
    }

    @Test func operationsAreCountedByTheMinute() {
        var meter = OperationMeter()
        let counted = [61, 61, 62, 63, 64, 119, 120].map { meter.count(now: $0, limit: 5) }
        #expect(counted == [true, true, true, true, true, false, true])
        #expect(MemoryLayout<OperationMeter>.size <= 8)
    }

    @Test func whoHasGoneIsNotKept() {
        var count = Headcount<UInt64>()
        let entered = [1, 1, 1, 2].map { count.enter($0, limit: 2) }
        #expect(entered == [true, true, false, true])
        #expect(count[1] == 2 && count.keys == 2)
        count.leave(1)
        count.leave(1)
        count.leave(1)
        count.leave(2)
        #expect(count.keys == 0 && count[1] == 0)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false), ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false),
        ("fc00::/7", "fdff::1", true), ("fc00::/7", "fe00::1", false), ("::1", "::1", true),
        ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true), ("2001:db8::/127", "2001:db8::1", true), ("2001:db8::/127", "2001:db8::2", false),
    ]) func networksHoldTheirAddresses(_ sample: (String, String, Bool)) throws {
        let range = try #require(AddressRange(sample.0))
        #expect(range.contains(try #require(NetworkAddress(sample.1))) == sample.2)
    }

    @Test(arguments: ["", "x", "1.2.3", "1.2.3.4.5", "10.0.0.0/33", "::/129", "1.2.3.4/", "1.2.3.4/x", ":::1", "[::1", "1.2.3.4/-1"])
    func whatIsNoNetworkIsRefused(_ text: String) { #expect(AddressRange(text) == nil) }

    @Test func whoWroteWhatInXForwardedFor() throws {
        let trusted = try ["10.0.0.0/8", "127.0.0.1"].map { try #require(AddressRange($0)) }
        func client(_ peer: String, _ forwarded: String...) throws -> NetworkAddress? {
            RequestOrigin.address(peer: try #require(NetworkAddress(peer)), forwarded: forwarded, trusted: trusted)
        }
        #expect(try client("203.0.113.9", "1.1.1.1") == NetworkAddress("203.0.113.9"))
        #expect(try client("10.0.0.1") == nil)
        #expect(try client("10.0.0.1", "1.1.1.1") == NetworkAddress("1.1.1.1"))
        #expect(try client("10.0.0.1", "6.6.6.6", "1.1.1.1:5060", "10.3.3.3") == NetworkAddress("1.1.1.1"))
        #expect(try client("127.0.0.1", "1.1.1.1", "unknown") == nil)
        #expect(try client("127.0.0.1", "10.1.1.1") == nil)
        #expect(NetworkAddress("[2001:db8::1]:443")?.site == NetworkAddress("2001:db8::")?.site)
    }
}
