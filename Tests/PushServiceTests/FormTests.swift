import Foundation
import HTTPClient
import Models
import Settings
import Store
import Testing

@testable import PushService

@Suite struct APNsPayloadTests {
    private func texts(title: String? = "Hi", body: String? = nil, url: String? = nil) -> NotificationTexts {
        var texts = NotificationTexts(id: NotificationID(digest: Array(0..<16)), type: "message.direct")
        texts.title = title
        texts.body = body
        texts.url = url
        return texts
    }

    private func alert(_ payload: [UInt8]?) throws -> [String: String] {
        let object = try JSONSerialization.jsonObject(with: Data(try #require(payload))) as? [String: Any]
        let aps = object?["aps"] as? [String: Any]
        return try #require(aps?["alert"] as? [String: String])
    }

    @Test func holdsWhatTheAppNeeds() throws {
        let payload = try #require(APNsPayload.encode(texts(body: "Nice \"work\"\n", url: "/posts/9")))
        #expect(
            String(decoding: payload, as: UTF8.self)
                == #"{"aps":{"alert":{"title":"Hi","body":"Nice \"work\"\n"},"sound":"default"},"#
                + #""id":"00010203-0405-8607-8809-0a0b0c0d0e0f","type":"message.direct","url":"/posts/9"}"#)
    }

    @Test func lowPriorityIsSilentAndWithoutTextThereIsATitle() throws {
        var quiet = texts()
        quiet.priority = .low
        #expect(!String(decoding: try #require(APNsPayload.encode(quiet)), as: UTF8.self).contains("sound"))
        #expect(try alert(APNsPayload.encode(texts(title: nil))) == ["title": "New notification"])
        #expect(try alert(APNsPayload.encode(texts(title: nil, body: "b"))) == ["body": "b"])
    }

    @Test(arguments: ["a", "é", "👩‍👩‍👧‍👦", "\"", "\u{1}", "漢"]) func aLongBodyIsCutBetweenCharacters(_ letter: String) throws {
        for length in [4000, 4090, 4096, 9000] {
            let body = String(repeating: letter, count: length / letter.utf8.count + 1)
            let payload = try #require(APNsPayload.encode(texts(body: body)))
            #expect(payload.count <= APNsPayload.limit)
            let shown = try #require(try alert(payload)["body"])
            if shown != body {
                #expect(shown.hasSuffix("…") && body.hasPrefix(shown.dropLast()))
                // No more was cut than had to be.
                #expect(payload.count > APNsPayload.limit - 40)
            }
        }
    }

    @Test(arguments: ["t", "é", "\"", "👩‍👩‍👧‍👦"]) func aLongTitleIsCutAsABodyIs(_ letter: String) throws {
        let title = String(repeating: letter, count: 5000)
        for body in [nil, "b", String(repeating: "b", count: 5000)] {
            let payload = try #require(APNsPayload.encode(texts(title: title, body: body, url: "/a")))
            #expect(payload.count <= APNsPayload.limit && payload.count > APNsPayload.limit - 40)
            let shown = try alert(payload)
            let cut = try #require(shown["title"])
            #expect(cut.hasSuffix("…") && title.hasPrefix(cut.dropLast()))
            #expect((shown["body"] == nil) == (body == nil))
            #expect(try url(payload) == "/a")
        }
    }

    @Test func aLongURLIsCutToItsPage() throws {
        let long = String(repeating: "x", count: 5000)
        for (url, left) in [
            ("/a?b=1#\(long)", "/a?b=1"), ("/a?b=\(long)#c", "/a"), ("/\(long)", nil), ("/a#\(long)?", "/a"),
        ] as [(String, String?)] {
            for title in ["Hi", long] {
                let payload = try #require(APNsPayload.encode(texts(title: title, body: "b", url: url)))
                #expect(payload.count <= APNsPayload.limit)
                #expect(try self.url(payload) == left)
                #expect(try alert(payload)["title"]?.hasPrefix(title.prefix(200)) == true)
            }
        }
    }

    /// A url that fits is left whole, and the texts are cut to what it leaves them.
    @Test func aURLThatFitsIsKept() throws {
        let url = "/" + String(repeating: "u", count: 3000)
        let long = String(repeating: "x", count: 5000)
        let payload = try #require(APNsPayload.encode(texts(title: "Hi", body: long, url: url)))
        #expect(payload.count <= APNsPayload.limit && payload.count > APNsPayload.limit - 40)
        #expect(try self.url(payload) == url)
        #expect(try alert(payload)["title"] == "Hi")
    }

    @Test func whatDoesNotFitWithoutTextsIsNoPayload() {
        var texts = NotificationTexts(id: NotificationID(digest: Array(0..<16)), type: String(repeating: "t", count: 5000))
        texts.title = "Hi"
        #expect(APNsPayload.encode(texts) == nil)
    }

    private func url(_ payload: [UInt8]) throws -> String? {
        (try JSONSerialization.jsonObject(with: Data(payload)) as? [String: Any])?["url"] as? String
    }
}

@Suite struct PushMessageTests {
    private func record(_ notification: String) -> [UInt8] {
        Array(
            #"{"v":1,"person":"bob","offset":3,"epoch":1,"reason":"offline","accepted":5,"notification":\#(notification)}"#.utf8)
    }
    private let id = "0e2a6b5c-1d2e-8f30-9a4b-5c6d7e8f9a0b"

    @Test func theRequest() throws {
        let (message, person, accepted) = try PushMessage.read(
            record(
                #"{"id":"\#(id)","type":"social.mention","priority":"high","title":"T","createdAt":"2026-11-21T08:30:00.000Z","expiresAt":"2026-11-22T08:30:00.500Z"}"#
            ))
        #expect(person.text == "bob" && accepted == 5)
        let apns = try PushSettings(
            Environment([
                "TOKEN_SECRET": String(repeating: "s", count: 32), "APNS_TOPIC": "app.carillon.demo",
            ])
        ).apns
        let device = Device(token: "abc", platform: "apns", app: "", environment: "production")
        let request = APNsRequest(
            url: apns.url(for: device), topic: apns.topic(for: device), timeout: apns.timeout, authorization: "bearer x"
        ).request(message, [], to: device)
        let headers = Dictionary(uniqueKeysWithValues: request.headers.map { ($0.name, $0.value) })
        #expect(request.method == "POST" && request.url == "https://api.push.apple.com:443/3/device/abc")
        #expect(headers["apns-collapse-id"] == id && headers["apns-push-type"] == "alert")
        #expect(headers["apns-priority"] == "10" && headers["apns-topic"] == "app.carillon.demo")
        #expect(headers["apns-expiration"] == "1795336200" && headers["authorization"] == "bearer x")
        #expect(headers["apns-id"] == APNsRequest.id(of: message, for: "abc"))
        #expect(APNsRequest.id(of: message, for: "abc") != APNsRequest.id(of: message, for: "abd"))
        #expect(UUID(uuidString: APNsRequest.id(of: message, for: "abc")) != nil)
    }

    @Test(arguments: [
        ("nonsense", DeadLetterReason.notJSON), ("{}", .invalidData), ("[]", .invalidData), ("", .notJSON),
    ])
    func whatCannotBeRead(_ value: String, _ reason: DeadLetterReason) {
        let letter = #expect(throws: DeadLetter.self) { _ = try PushMessage.read(Array(value.utf8)) }
        #expect(letter?.reason == reason)
    }
}

@Suite struct DeviceFormTests {
    @Test func aDevice() throws {
        let body = #"{"token":"ab-_9","platform":"apns","app":"app.carillon.demo","environment":"sandbox","more":1}"#
        let device = try DeviceForm.read(Array(body.utf8)).get()
        #expect(device == Device(token: "ab-_9", platform: "apns", app: "app.carillon.demo", environment: "sandbox"))
        #expect(
            String(decoding: DeviceForm.encode([device]), as: UTF8.self)
                == #"{"devices":[{"token":"ab-_9","platform":"apns","app":"app.carillon.demo","environment":"sandbox"}]}"#)
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"token":"a"}"#, #"{"token":"a","platform":"fcm"}"#, #"{"token":"","platform":"apns"}"#,
        #"{"token":"a/b","platform":"apns"}"#, #"{"token":"a\nb","platform":"apns"}"#, #"{"token":7,"platform":"apns"}"#,
        #"{"token":"a","platform":"apns","app":"a b"}"#, #"{"token":"a","platform":"apns","environment":"moon"}"#,
        #"{"token":"a","platform":"apns"} x"#, #"{"token":null,"platform":"apns"}"#, #"{"token":"a","platform":null}"#,
    ])
    func notADevice(_ body: String) {
        guard case .failure = DeviceForm.read(Array(body.utf8)) else {
            Issue.record("accepted")
            return
        }
    }

    @Test func nullIsAbsent() throws {
        let body = #"{"token":"a","platform":"apns","app":null,"environment":null,"locale":null}"#
        let device = try DeviceForm.read(Array(body.utf8), environment: .sandbox).get()
        #expect(device == Device(token: "a", platform: "apns", app: "", environment: "sandbox"))
        guard case .failure(let complaint) = DeviceForm.read(Array(#"{"token":null,"platform":"apns"}"#.utf8)) else {
            Issue.record("accepted")
            return
        }
        #expect(complaint.text.hasPrefix("token must be"))
    }

    @Test func aHexadecimalTokenHasOneForm() throws {
        let device = try DeviceForm.read(Array(#"{"token":"0aBCdeF9","platform":"apns"}"#.utf8)).get()
        #expect(device.token == "0abcdef9")
        #expect(Device.canonical(token: "0aBCdeG9") == "0aBCdeG9")
    }

    @Test func aTokenHasABound() {
        #expect(DeviceForm.isToken(String(repeating: "a", count: 200)) && !DeviceForm.isToken(String(repeating: "a", count: 201)))
    }
}

@Suite struct PushSettingsTests {
    private let secret = ["TOKEN_SECRET": String(repeating: "s", count: 32)]

    @Test func withoutCredentialsItStarts() throws {
        let settings = try PushSettings(Environment(secret))
        #expect(settings.apns.credentials == nil && settings.apns.url == "https://api.push.apple.com:443")
    }

    @Test(arguments: ["APNS_KEY_FILE", "APNS_KEY_ID", "APNS_TEAM_ID", "APNS_TOPIC"])
    func aPartOfTheCredentialsIsAMistake(_ missing: String) throws {
        var values = secret.merging(["APNS_KEY_FILE": "/k.p8", "APNS_KEY_ID": "K", "APNS_TEAM_ID": "T", "APNS_TOPIC": "a"]) { $1 }
        #expect(try PushSettings(Environment(values)).apns.credentials != nil)
        values[missing] = nil
        let error = #expect(throws: SettingsError.self) { _ = try PushSettings(Environment(values)) }
        #expect(error?.name == missing)
    }

    @Test func plainHTTPIsRefused() {
        let values = secret.merging(["APNS_URL": "http://127.0.0.1:1"]) { $1 }
        #expect(throws: SettingsError.self) { _ = try PushSettings(Environment(values)) }
    }
}
