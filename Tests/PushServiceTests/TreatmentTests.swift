import Models
import Testing

@testable import PushService

@Suite struct TreatmentTests {
    /// Every reason of "Handling notification responses from APNs", with the status that it comes with.
    static let table: [(Int, APNsReason, Treatment)] = [
        (400, .badCollapseId, .deadLetter(.rejectedByProvider)), (400, .badDeviceToken, .quarantine),
        (400, .badExpirationDate, .deadLetter(.rejectedByProvider)), (400, .badMessageId, .deadLetter(.rejectedByProvider)),
        (400, .badPriority, .deadLetter(.rejectedByProvider)), (400, .badTopic, .deadLetter(.rejectedByProvider)),
        (400, .deviceTokenNotForTopic, .deadLetter(.rejectedByProvider)),
        (400, .duplicateHeaders, .deadLetter(.rejectedByProvider)), (400, .idleTimeout, .retry(.unavailable)),
        (400, .invalidPushType, .deadLetter(.rejectedByProvider)), (400, .missingDeviceToken, .deadLetter(.rejectedByProvider)),
        (400, .missingTopic, .deadLetter(.rejectedByProvider)), (400, .payloadEmpty, .deadLetter(.rejectedByProvider)),
        (400, .topicDisallowed, .deadLetter(.rejectedByProvider)), (403, .badCertificate, .stopSending),
        (403, .badCertificateEnvironment, .stopSending), (403, .badEnvironmentKeyIdInToken, .stopSending),
        (403, .badEnvironmentKeyInToken, .stopSending), (403, .expiredProviderToken, .renewProviderToken),
        (403, .forbidden, .stopSending), (403, .invalidProviderToken, .stopSending), (403, .missingProviderToken, .stopSending),
        (403, .unrelatedKeyIdInToken, .stopSending), (404, .badPath, .deadLetter(.rejectedByProvider)),
        (405, .methodNotAllowed, .deadLetter(.rejectedByProvider)), (410, .expiredToken, .unregistered(since: 7)),
        (410, .unregistered, .unregistered(since: 7)), (413, .payloadTooLarge, .deadLetter(.tooLarge)),
        (429, .tooManyProviderTokenUpdates, .retry(.unavailable)), (429, .tooManyRequests, .slowDown),
        (500, .internalServerError, .retry(.internalError)), (503, .serviceUnavailable, .retry(.unavailable)),
        (503, .shutdown, .retry(.unavailable)),
    ]

    @Test(arguments: table) func everyReason(_ status: Int, _ reason: APNsReason, _ expected: Treatment) {
        #expect(treatment(of: status, reason: reason.rawValue, timestamp: 7) == expected)
    }

    @Test func theTableIsWhole() {
        #expect(Set(Self.table.map(\.1)).union([.other]) == Set(APNsReason.allCases))
    }

    @Test(arguments: [
        (200, Treatment.accepted), (400, .deadLetter(.rejectedByProvider)), (401, .stopSending), (403, .stopSending),
        (410, .unregistered(since: nil)), (429, .slowDown), (500, .retry(.internalError)), (502, .retry(.internalError)),
        (503, .retry(.unavailable)), (302, .deadLetter(.rejectedByProvider)),
    ])
    func aReasonThatIsUnknown(_ status: Int, _ expected: Treatment) {
        #expect(treatment(of: status, reason: "SomethingNew") == expected)
        #expect(treatment(of: status, reason: nil) == expected)
    }

    @Test func theBody() {
        let answer = APNsAnswer(status: 410, body: Array(#"{"timestamp":1700,"x":[1],"reason":"Unregistered"}"#.utf8))
        #expect(answer == APNsAnswer(status: 410, reason: "Unregistered", timestamp: 1700))
        #expect(answer.knownReason == .unregistered)
        for body in ["", "[]", "{", #"{"reason":7}"#, #"{"reason":"\ud800"}"#, "\u{FF}"] {
            #expect(APNsAnswer(status: 500, body: Array(body.utf8)).knownReason == .other)
        }
        #expect(APNsAnswer(status: 503, body: [], retryAfter: "12").retryAfter == 12)
        for text in ["-1", "soon", "99999999999999999999"] {
            #expect(APNsAnswer(status: 503, body: [], retryAfter: text).retryAfter == nil)
        }
    }
}
