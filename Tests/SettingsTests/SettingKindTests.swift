import TestSupport
import Testing

@testable import Settings

/// Each kind of setting takes both of its bounds and nothing beyond them, and shows a value as an operator would write it.
@Suite struct SettingKindTests {
    private func takes<Value>(_ kind: SettingKind<Value>, _ texts: String...) -> [Bool] { texts.map { kind.read($0) != nil } }

    @Test func boundsBelongToTheRange() {
        #expect(takes(.integer(3...5), "2", "3", "5", "6") == [false, true, true, false])
        #expect(takes(.integer(3...5), "+4", "4.0", "", "٤", " 4") == Array(repeating: false, count: 5))
        #expect(takes(.duration(.seconds(1) ... .seconds(60)), "999ms", "1s", "1m", "61s") == [false, true, true, false])
        #expect(takes(.size(1024...1 << 20), "1023B", "1KB", "1MB", "1048577B") == [false, true, true, false])
        #expect(takes(.port, "-1", "0", "65535", "65536") == [false, true, true, false])
        #expect(takes(.name(2...4), "a", "ab", "abcd", "abcde") == [false, true, true, false])
        #expect(takes(.text(2...4), "a", "é", "abcd", "aéé") == [false, true, true, false], "bounds are bytes")
        #expect(takes(.path, String(repeating: "x", count: 4096), String(repeating: "x", count: 4097)) == [true, false])
    }

    @Test func booleansHaveFourNamesEach() {
        for text in ["true", "1", "yes", "on"] { #expect(SettingKind.boolean.read(text) == true) }
        for text in ["false", "0", "no", "off"] { #expect(SettingKind.boolean.read(text) == false) }
        for text in ["True", "y", "2", " true", ""] { #expect(SettingKind.boolean.read(text) == nil) }
    }

    @Test(arguments: ["a/b", "a b", "é", "a:b", "a\n", "a*"])
    func namesHoldNothingThatAKeyOrATopicCannot(_ text: String) { #expect(SettingKind.name().read(text) == nil) }

    @Test(arguments: ["a\u{0}", "a\nb", "\u{1b}[1m", "a\u{7f}"])
    func textAndPathsHoldNoControlCharacter(_ text: String) {
        #expect(SettingKind.text.read(text) == nil && SettingKind.path.read(text) == nil)
    }

    @Test func oneOfAFewAndSeveralOfAKind() {
        let level = SettingKind<LogLevel>.choice()
        #expect(level.read("warning") == .warning && level.read("Warning") == nil && level.read("warn") == nil)
        #expect(level.form == "one of debug, info, warning, error")
        let levels = SettingKind.list(of: level)
        #expect(levels.read(" debug ,error") == [.debug, .error])
        for text in ["", "debug,", ",debug", "debug,,error", "debug;error"] { #expect(levels.read(text) == nil, "\(text)") }
    }

    /// Whatever a value is, the list shows it in a form that is read as the same value.
    @Test func whatIsShownIsReadAsTheSame() {
        var random = SeededGenerator(seed: TestSeed.announced())
        for _ in 0..<2_000 {
            let bits = Int64.random(in: 0...40, using: &random)
            let number = Int64.random(in: 0...(1 << bits), using: &random)
            let duration = Duration.milliseconds(number)
            #expect(parseDuration(durationText(duration)) == duration, "\(number) ms")
            #expect(parseSize(sizeText(Int(number))) == Int(number), "\(number) B")
        }
    }

    /// No text makes a reader trap.
    @Test func anyTextIsReadOrRefused() {
        var random = SeededGenerator(seed: TestSeed.announced())
        let alphabet = Array("0123456789-+.dhmsKMGB:/@[]%,;= ae\u{0}é\u{10FFFF}")
        for _ in 0..<5_000 {
            let text = String((0..<Int.random(in: 0...20, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "0" })
            _ = (parseDuration(text), parseSize(text), parseInteger(text), HostPort(text), HostPort(text, defaultPort: 1))
            if let place = HostPort(text) { #expect(HostPort(place.description) == place, "\(text)") }
            let url = "redis://" + text
            if let read = ServiceURL(url, ports: ["redis": 6379]) {
                #expect(ServiceURL(read.description, ports: ["redis": 6379])?.port == read.port, "\(text)")
            }
            _ = (SettingKind<[KafkaProperty]>.properties.read(text), SettingKind.origin.read(text))
        }
    }
}
