/// `2026-11-21T11:00:00.123Z` of a wall clock's milliseconds since 1970 (RFC 3339, always UTC).
func appendTimestamp(_ milliseconds: Int64, to line: inout [UInt8]) {
    let day = Int64(86_400_000)
    let days = milliseconds >= 0 ? milliseconds / day : (milliseconds - day + 1) / day
    let rest = milliseconds - days * day
    let date = civil(days: days)
    append(date.year, width: 4, to: &line)
    line.append(0x2d)
    append(date.month, width: 2, to: &line)
    line.append(0x2d)
    append(date.day, width: 2, to: &line)
    line.append(0x54)
    append(rest / 3_600_000, width: 2, to: &line)
    line.append(0x3a)
    append(rest / 60_000 % 60, width: 2, to: &line)
    line.append(0x3a)
    append(rest / 1000 % 60, width: 2, to: &line)
    line.append(0x2e)
    append(rest % 1000, width: 3, to: &line)
    line.append(0x5a)
}

/// The Gregorian date of a day counted from 1970-01-01, by eras of 400 years that begin in March.
private func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

private func append(_ number: Int64, width: Int, to line: inout [UInt8]) {
    let digits = String(number)
    for _ in 0..<max(0, width - digits.utf8.count) { line.append(0x30) }
    line.append(contentsOf: digits.utf8)
}
