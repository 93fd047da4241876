import Network
import ServiceRuntime
import Settings
import Testing
import Tokens

/// Collects lines; can be told to refuse them, as a full pipe does.
final class Lines {
    var lines: [String] = []
    var full = false
    /// The wall clock, which may step, and the one that does not.
    var now: Int64 = 1_795_258_800_123
    var ticks: Int64 = 0

    func log(_ level: LogLevel = .info, _ format: LogFormat = .logfmt) -> Log {
        Log(service: "gateway", instance: "gateway-1", level: level, format: format, clock: { self.now }, ticks: { self.ticks }) { line in
            if self.full { return false }
            self.lines.append(String(decoding: line, as: UTF8.self))
            return true
        }
    }
}

@Suite struct LogTests {
    private enum Away: Error { case refused, answered(secret: String) }
    private struct Vouched: LogReason { let logText = "no route to host" }

    @Test func lineIsLogfmt() {
        let lines = Lines()
        lines.log().info(
            "listening on port",
            [
                "port": 8080, "tls": false, "after": .duration(.milliseconds(1234)), "url": .configured("redis://h?a=b"),
            ])
        #expect(
            lines.lines == [
                "2026-11-21T11:00:00.123Z info gateway#gateway-1 message=\"listening on port\" port=8080 tls=false "
                    + "after=1.234s url=\"redis://h?a=b\"\n"
            ])
    }

    @Test func valuesCannotBreakTheLine() {
        let lines = Lines()
        lines.log().info("file", ["name": .configured("a\"b\\c\nd\re\u{7f}"), "empty": .configured("")])
        #expect(lines.lines.first?.hasSuffix("message=file name=\"a\\\"b\\\\c\\nd e \" empty=\"\"\n") == true)
    }

    @Test func errorShowsItsCaseAndNotItsPayload() {
        let lines = Lines()
        let log = lines.log()
        log.warning("failed", ["reason": .error(Away.answered(secret: "tok3n"))])
        log.warning("failed", ["reason": .error(Away.refused)])
        log.warning("failed", ["reason": .error(Vouched())])
        #expect(
            lines.lines.map { $0.split(separator: "reason=").last.map(String.init) }
                == ["Away.answered\n", "Away.refused\n", "\"no route to host\"\n"])
    }

    @Test func levelHidesWhatIsBelowIt() {
        let lines = Lines()
        let log = lines.log(.warning)
        log.debug("a")
        log.info("b")
        log.warning("c")
        log.error("d")
        #expect(lines.lines.count == 2)
    }

    @Test func repeatedLinesAreSummedUp() {
        let lines = Lines()
        let log = lines.log()
        for _ in 0..<(Log.burst + 990) { log.info("record refused", ["offset": 1]) }
        #expect(lines.lines.count == Log.burst)
        lines.ticks += Log.window
        log.sumUp()
        #expect(lines.lines.count == Log.burst + 1)
        #expect(lines.lines.last?.hasSuffix("message=\"record refused\" repeated=990\n") == true)
        log.info("record refused")
        #expect(lines.lines.count == Log.burst + 2)
    }

    /// A clock that an hour is added to, or taken from, neither ends nor prolongs what is summed up.
    @Test(arguments: [Int64(3_600_000), -3_600_000]) func aSteppingClockSumsUpAsBefore(_ step: Int64) {
        let lines = Lines()
        let log = lines.log()
        for _ in 0..<(Log.burst + 5) { log.info("again") }
        lines.now += step
        log.sumUp()
        for _ in 0..<5 { log.info("again") }
        #expect(lines.lines.count == Log.burst)
        lines.ticks += Log.window
        log.sumUp()
        #expect(lines.lines.last?.hasSuffix("repeated=10\n") == true)
    }

    @Test func jsonIsOneObjectALine() throws {
        let lines = Lines()
        let log = lines.log(.info, .json)
        log.info(
            "a \"line\"", ["port": 8080, "tls": false, "after": .duration(.milliseconds(1234)), "url": .configured("a\n\"b\u{1}")])
        #expect(
            lines.lines == [
                #"{"time":"2026-11-21T11:00:00.123Z","level":"info","service":"gateway","instance":"gateway-1","message":"a \"line\"","#
                    + #""port":8080,"tls":false,"after":1.234,"url":"a\n\"b\u0001"}"# + "\n"
            ])
        log.warning("long", ["a": 1, "b": .configured(String(repeating: "x", count: 10_000)), "c": 2])
        #expect(lines.lines[1].hasSuffix(#""message":"long","a":1,"cut":true}"# + "\n"))
        log.warning("numbers", ["a": .double(.infinity), "b": .double(0.5)])
        #expect(lines.lines[2].hasSuffix(#""a":"inf","b":0.5}"# + "\n"))
    }

    /// Of an address stands there what tells two clients apart and names neither, unless the operator wants more.
    @Test func addressesAreHashed() throws {
        let one = try #require(NetworkAddress("192.0.2.1"))
        let two = try #require(NetworkAddress("2001:db8::1"))
        let lines = Lines()
        for isShown in [false, true] {
            let refusals = Refusals(log: lines.log(), metrics: Metrics(), showsAddresses: isShown)
            refusals.keep(two)
            refusals.note(.missing, from: refusals.logged(one))
            refusals.note(.expired(secondsAgo: 4), from: refusals.logged(key: two.siteKey))
            refusals.note(.origin, from: nil)
        }
        let addresses = lines.lines.compactMap { $0.split(separator: "address=").last?.dropLast() }
        #expect(addresses[0].count == 9 && addresses[0].hasPrefix("#") && addresses[1].hasPrefix("#") && addresses[0] != addresses[1])
        #expect(addresses[2...] == ["unknown", "192.0.2.1", "2001:db8::1", "unknown"])
    }

    @Test func longLineIsCut() {
        let lines = Lines()
        lines.log().info("long", ["a": .configured(String(repeating: "x", count: 10_000))])
        #expect(lines.lines.first?.utf8.count == Log.longestLine)
        #expect(lines.lines.first?.hasSuffix("x\n") == true)
    }

    @Test func droppedLinesAreCounted() {
        let lines = Lines()
        let log = lines.log()
        lines.full = true
        log.info("a")
        log.info("b")
        lines.full = false
        log.info("c")
        #expect(lines.lines.count == 2)
        #expect(lines.lines.first?.contains("count=2") == true)
    }
}
