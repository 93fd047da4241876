import ServiceRuntime
import Settings
import Testing

/// Collects lines; can be told to refuse them, as a full pipe does.
final class Lines {
    var lines: [String] = []
    var full = false
    var now: Int64 = 1_795_258_800_123

    func log(_ level: LogLevel = .info) -> Log {
        Log(service: "gateway", instance: "gateway-1", level: level, clock: { self.now }) { line in
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
        lines.now += Log.window
        log.sumUp()
        #expect(lines.lines.count == Log.burst + 1)
        #expect(lines.lines.last?.hasSuffix("message=\"record refused\" repeated=990\n") == true)
        log.info("record refused")
        #expect(lines.lines.count == Log.burst + 2)
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
