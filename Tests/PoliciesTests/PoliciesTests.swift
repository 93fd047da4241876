import Foundation
import Models
import Policies
import Testing

private func complaints(_ text: String) -> [String] {
    do {
        _ = try PolicyFile.read(Array(text.utf8))
        return []
    } catch { return error.complaints.map(\.description) }
}

@Suite struct PoliciesTests {
    @Test func theShippedFileIsAsTheContractSays() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/policies.yaml").path
        let table = try PolicyFile.read(path: path)
        #expect(
            Set(table.types) == [
                "social.like", "social.mention", "message.direct", "channel.post", "transaction.payment", "system.alert", "marketing.offer",
            ])
        for type in table.types {
            let policy = try #require(table.policy(for: type))
            #expect(policy.channels == (type == "social.like" ? .inApp : [.inApp, .push]))
            let high = type == "transaction.payment" || type == "system.alert"
            #expect(policy.priority == (high ? .high : type == "marketing.offer" ? .low : .normal))
        }
        #expect(table.policy(for: "social.other") == nil)
    }

    @Test func readsPatternsAndADefault() throws {
        let text = """
            types:
              social.*: {category: social, priority: low, channels: [in-app], ttlSeconds: 5}
            default: {category: other, priority: high, channels: [in-app, push], ttlSeconds: 6}
            """
        let table = try PolicyFile.read(Array(text.utf8))
        #expect(table.policy(for: "social.x") == Policy(category: "social", priority: .low, channels: .inApp, ttlSeconds: 5))
        #expect(table.policy(for: "x")?.category == "other")
    }

    /// The Kelvin sign is no K, though `String` holds it equal to one.
    @Test func aTypeIsItsBytes() throws {
        let text = "types: {social.Kiss: {category: social, priority: low, channels: [in-app], ttlSeconds: 5}}"
        let table = try PolicyFile.read(Array(text.utf8))
        #expect(table.policy(for: "social.Kiss") != nil)
        #expect("social.\u{212A}iss" == "social.Kiss" && table.policy(for: "social.\u{212A}iss") == nil)
    }

    @Test func aPolicyMayBeSilentAndNameItsTopic() throws {
        let text = """
            types:
              com.example.comment: {category: c, priority: low, channels: [in-app], ttlSeconds: 5, silent: true, topic: events.comments}
              social.*: {category: s, priority: low, channels: [in-app], ttlSeconds: 5, silent: false}
            """
        let table = try PolicyFile.read(Array(text.utf8))
        let comment = try #require(table.policy(for: "com.example.comment"))
        #expect(comment.silent && comment.topic == "events.comments")
        let like = try #require(table.policy(for: "social.like"))
        #expect(!like.silent && like.topic == nil)
        let topics = Topics(namespace: "ns")
        #expect(topics.events(forType: "com.example.comment", policy: comment) == "ns.events.comments")
        #expect(topics.events(forType: "social.like", policy: like) == "ns.events.social")
        #expect(topics.events(of: table) == ["ns.events.comments", "ns.events.social"])
        for wrong in ["events", "events.", "notifications.high", "events.dlq", "events.a.dlq", "events.a b", "[events.a]"] {
            let first = complaints("types: {a.b: {category: c, priority: low, channels: [in-app], ttlSeconds: 5, topic: \(wrong)}}").first
            #expect(first?.hasPrefix("line 1: topic must be events.") == true, "\(wrong): \(first ?? "")")
        }
        #expect(
            complaints("types: {a.b: {category: c, priority: low, channels: [in-app], ttlSeconds: 5, silent: yes}}")
                == ["line 1: silent must be true or false"])
    }

    @Test func namesEveryMistakeWithItsLine() {
        let text = """
            types:
              a.b:
                category: ""
                priority: urgent
                channels: [in-app, sms]
                ttlSeconds: 0
                colour: red
              "*.a": {category: c, priority: low, channels: [in-app], ttlSeconds: 5}
              c.d: {category: c, channels: [push], ttlSeconds: soon}
              a.b: 7
            types2: 1
            """
        #expect(
            complaints(text) == [
                "line 3: category must be a word",
                "line 4: priority must be high, normal or low",
                "line 5: channels holds in-app and push, nothing else",
                "line 6: ttlSeconds must be a whole number from 1 to 315360000",
                "line 7: colour is none of category, priority, channels, ttlSeconds, silent, topic",
                "line 8: *.a is neither a type (a.b) nor a pattern (a.*)",
                "line 9: channels must hold in-app",
                "line 9: ttlSeconds must be a whole number from 1 to 315360000",
                "line 9: priority is missing",
                "line 10: a.b stands in line 2 already",
                "line 10: a policy must be a map",
                "line 11: types2 is none of types, default",
            ])
    }

    @Test(arguments: [
        ("", "line 1: the file is empty; it needs types:"), ("[]", "line 1: the file must be a map"),
        ("a: 1", "line 1: a is none of types, default"),
        ("types: 5", "line 1: types must be a map"), ("types:\n  a: [", "line 3:"), ("types: {a: *b}", "line 1: found undefined alias"),
        ("types: {a: \u{1}}", "line 1:"), ("types: &a {a.b: *a}", "line 1:"),
        ("types: {a.b: {category: a, category: b, priority: low, channels: [in-app, in-app], ttlSeconds: 1}}", "line 1:"),
    ]) func complains(_ text: String, _ first: String) {
        #expect(complaints(text).first?.hasPrefix(first) == true, "\(complaints(text))")
    }

    @Test func complainsOfAFileThatIsNotThere() {
        #expect(throws: PolicyFileError.self) { _ = try PolicyFile.read(path: "/nowhere/policies.yaml") }
    }
}
