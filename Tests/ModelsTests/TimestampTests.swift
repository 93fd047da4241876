import Foundation
import Models
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("1970-01-01t00:00:00.5z", 500), ("2000-02-29T12:00:00+01:00", 951_822_000_000),
        ("1969-12-31T23:59:59.999Z", -1), ("2026-11-21T11:44:39.1239Z", 1_795_261_479_123), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2026-11-21T00:00:00-00:30", 1_795_221_000_000),
    ]) func reads(_ text: String, _ moment: Int64) { #expect(Timestamp.read(text) == moment) }

    @Test(arguments: [
        "", "2026-11-21", "2026-11-21T11:44:39", "2026-11-21 11:44:39Z", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T11:60:00Z", "2026-11-21T11:44:61Z", "2026-11-21T11:44:39.Z",
        "2026-11-21T11:44:39+1:00", "2026-11-21T11:44:39+01:00x", "2026-11-21T11:44:39Zx", "2026-00-21T11:44:39Z", "2026-11-00T11:44:39Z",
        "20261121T114439.000Z00000",
    ]) func refuses(_ text: String) { #expect(Timestamp.read(text) == nil) }

    @Test func roundTrips() {
        let formatter = ISO8601DateFormatter()
        property(2000) { random in
            let moment = Int64.random(in: -62_167_219_200_000...253_402_300_799_999, using: &random)
            #expect(Timestamp.read(Timestamp.text(moment)) == moment)
            let recent = Int64.random(in: 0...4_000_000_000, using: &random)
            #expect(
                Timestamp.text(recent * 1000).replacing(".000", with: "")
                    == formatter.string(from: Date(timeIntervalSince1970: Double(recent))))
        }
        #expect(Timestamp.text(.max) == "9999-12-31T23:59:59.999Z")
        #expect(Timestamp.text(.min) == "0000-01-01T00:00:00.000Z")
    }
}
