/// Moments as milliseconds since 1970 (UTC), and their text (RFC 3339).
public enum Timestamp {
    /// Reads `2026-11-21T08:30:00.123+01:00` (RFC 3339 section 5.6); nil for anything else. Fractions of a millisecond are cut
    /// off.
    public static func read(_ bytes: Span<UInt8>) -> Int64? {
        guard bytes.count >= 20, bytes.count <= 64,
            let year = number(bytes, 0, 4), bytes[4] == UInt8(ascii: "-"),
            let month = number(bytes, 5, 2), bytes[7] == UInt8(ascii: "-"),
            let day = number(bytes, 8, 2), bytes[10] | 0x20 == UInt8(ascii: "t"),
            let hour = number(bytes, 11, 2), bytes[13] == UInt8(ascii: ":"),
            let minute = number(bytes, 14, 2), bytes[16] == UInt8(ascii: ":"),
            let second = number(bytes, 17, 2),
            (1...12).contains(month), day >= 1, day <= days(inMonth: month, of: year),
            hour < 24, minute < 60, second <= 60
        else { return nil }
        var at = 19
        guard let fraction = milliseconds(bytes, &at), let offset = offsetMinutes(bytes, at) else { return nil }
        let minutes = (dayNumber(year, month, day) * 24 + hour) * 60 + minute - offset
        return (minutes * 60 + second) * 1000 + fraction
    }

    public static func read(_ text: String) -> Int64? { read(text.utf8Span.span) }

    /// Appends `2026-11-21T08:30:00.123Z`. Years outside 0 to 9999 are written as the nearest.
    public static func append(_ moment: Int64, to bytes: inout [UInt8]) {
        let clamped = min(max(moment, -62_167_219_200_000), 253_402_300_799_999)
        let day = clamped >= 0 ? clamped / 86_400_000 : (clamped - 86_399_999) / 86_400_000
        let inDay = clamped - day * 86_400_000
        let (year, month, date) = civil(day)
        padded(year, 4, &bytes)
        bytes.append(UInt8(ascii: "-"))
        padded(month, 2, &bytes)
        bytes.append(UInt8(ascii: "-"))
        padded(date, 2, &bytes)
        bytes.append(UInt8(ascii: "T"))
        padded(inDay / 3_600_000, 2, &bytes)
        bytes.append(UInt8(ascii: ":"))
        padded(inDay / 60_000 % 60, 2, &bytes)
        bytes.append(UInt8(ascii: ":"))
        padded(inDay / 1000 % 60, 2, &bytes)
        bytes.append(UInt8(ascii: "."))
        padded(inDay % 1000, 3, &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    public static func text(_ moment: Int64) -> String {
        var bytes: [UInt8] = []
        append(moment, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func milliseconds(_ bytes: Span<UInt8>, _ at: inout Int) -> Int64? {
        guard bytes[at] == UInt8(ascii: ".") else { return 0 }
        at += 1
        var value: Int64 = 0
        var places = 0
        while at < bytes.count, bytes[at] &- UInt8(ascii: "0") <= 9 {
            if places < 3 { value = value * 10 + Int64(bytes[at] &- UInt8(ascii: "0")) }
            places += 1
            at += 1
        }
        guard places > 0 else { return nil }
        for _ in min(places, 3)..<3 { value *= 10 }
        return value
    }

    private static func offsetMinutes(_ bytes: Span<UInt8>, _ at: Int) -> Int64? {
        guard at < bytes.count else { return nil }
        if bytes[at] | 0x20 == UInt8(ascii: "z") { return at + 1 == bytes.count ? 0 : nil }
        guard bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-"), at + 6 == bytes.count,
            let hours = number(bytes, at + 1, 2), bytes[at + 3] == UInt8(ascii: ":"),
            let minutes = number(bytes, at + 4, 2), hours < 24, minutes < 60
        else { return nil }
        let offset = hours * 60 + minutes
        return bytes[at] == UInt8(ascii: "-") ? -offset : offset
    }

    private static func number(_ bytes: Span<UInt8>, _ start: Int, _ length: Int) -> Int64? {
        var value: Int64 = 0
        for index in start..<start + length {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value * 10 + Int64(digit)
        }
        return value
    }

    private static func padded(_ value: Int64, _ width: Int, _ bytes: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 in the Gregorian calendar; the year is counted from March, so that the leap day comes last.
    private static func dayNumber(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(_ number: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = number + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}
