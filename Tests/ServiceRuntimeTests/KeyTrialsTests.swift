import Network
import Settings
import Testing

@testable import ServiceRuntime

private func address(_ number: Int) -> NetworkAddress { NetworkAddress("198.51.\(number / 256).\(number % 256)")! }

@Suite struct KeyTrialsTests {
    private let right = "the-right-key-of-this-test"

    private func check(_ failures: Int = 20) throws -> APIKeyCheck {
        let settings = try APIKeySettings(Environment(["API_KEY": right, "API_KEY_FAILURES": "\(failures)"]))
        return APIKeyCheck(settings, trusted: [])
    }

    @Test func whoGuessesIsSlowedDown() throws {
        let keys = try check()
        let guesser = address(1)
        // Half an hour of 100 guesses a second: what is looked at is what may be tried at once, and so many a minute.
        var (looked, now) = (0, UInt64(0))
        while now < 1_801_000 {
            switch keys.verdict("guess \(now)", of: guesser, now: now) {
            case .refused: looked += 1
            case .tooMany(let seconds): #expect((1...4).contains(seconds))
            case .right: Issue.record("a guess is not the key")
            }
            now += 10
        }
        #expect((20...20 + 20 * 31).contains(looked))
        // Not even the right one is looked at then, or guessing would go on; where it waits as it is told to, it passes.
        guard case .tooMany(let seconds) = keys.verdict(right, of: guesser, now: now) else {
            Issue.record("the brake holds")
            return
        }
        #expect(keys.verdict(right, of: guesser, now: now + UInt64(seconds) * 1000) == .right)
        #expect(keys.verdict(right, of: address(2), now: now) == .right, "nobody else waits")
    }

    @Test func theRightKeyIsNotSlowedByOthersBehindTheSameBalancer() throws {
        let keys = try check(5)
        let balancer = address(1)
        #expect(keys.verdict(right, of: balancer, now: 0) == .right)
        var refused = 0
        for now in UInt64(1)...5_000 {
            if keys.verdict("wrong", of: balancer, now: now) == .refused { refused += 1 }
            if now % 10 == 0 { #expect(keys.verdict(right, of: balancer, now: now) == .right) }
        }
        #expect(refused == 5)
        // An hour after the right one came last, the address is like any other.
        let later = UInt64(5_000) + KeyTrials.knownFor
        for _ in 0..<5 { #expect(keys.verdict("wrong", of: balancer, now: later) == .refused) }
        guard case .tooMany = keys.verdict(right, of: balancer, now: later) else {
            Issue.record("it is known no more")
            return
        }
    }

    @Test func aNeighbourhoodOfIPv6IsOneSource() throws {
        let keys = try check(3)
        for host in 1...3 { #expect(keys.verdict("wrong", of: NetworkAddress("2001:db8::\(host)")!, now: 0) == .refused) }
        #expect(keys.verdict("wrong", of: NetworkAddress("2001:db8::9")!, now: 0) == .tooMany(seconds: 21))
        #expect(keys.verdict("wrong", of: NetworkAddress("2001:db8:0:1::9")!, now: 0) == .refused)
    }

    @Test func sourcesAreBounded() {
        var trials = KeyTrials(failures: 2)
        for number in 0..<KeyTrials.maximumSources { trials.failed(address(number), now: 0) }
        #expect(trials.count == KeyTrials.maximumSources)
        // For those who come now there is one share for all.
        for number in 2000..<2002 {
            #expect(trials.wait(address(number), now: 0) == nil)
            trials.failed(address(number), now: 0)
        }
        #expect(trials.count == KeyTrials.maximumSources)
        #expect(trials.wait(address(2002), now: 0) != nil)
        #expect(trials.wait(address(5), now: 0) == nil, "who is remembered has a share of her own")
        // Who has the key takes a guesser's place.
        trials.succeeded(address(3000), now: 0)
        #expect(trials.isKnown(address(3000), now: 1) && trials.count == KeyTrials.maximumSources)
        // A minute later nothing is left to remember but her.
        trials.failed(address(4000), now: 61_000)
        #expect(trials.count == 2 && trials.isKnown(address(3000), now: 61_000))
        for number in 0..<KeyTrials.maximumSources { trials.succeeded(address(number), now: 61_000) }
        trials.succeeded(address(4001), now: 61_000)
        #expect(trials.count == KeyTrials.maximumSources, "all are known")
    }

    @Test func whomAProxyNames() {
        let trusted = [AddressRange("10.0.0.0/8")!]
        func source(_ peer: String, _ forwarded: String...) -> NetworkAddress {
            RequestOrigin.source(peer: NetworkAddress(peer)!, forwarded: forwarded, trusted: trusted)
        }
        #expect(source("192.0.2.1", "198.51.100.1") == NetworkAddress("192.0.2.1"), "anybody may write that")
        #expect(source("10.0.0.1", "192.0.2.9", "198.51.100.1") == NetworkAddress("198.51.100.1"))
        #expect(source("10.0.0.1", "192.0.2.9", "10.0.0.7") == NetworkAddress("192.0.2.9"))
        #expect(source("10.0.0.1", "10.0.0.8", "10.0.0.7") == NetworkAddress("10.0.0.7"), "a producer within")
        #expect(source("10.0.0.1") == NetworkAddress("10.0.0.1"))
        #expect(source("10.0.0.1", "unknown") == NetworkAddress("10.0.0.1"))
    }
}
