import Models
import Testing

@testable import PushService

@Suite struct APNsAnswerTests {
    /// Every reason of "Handling notification responses from APNs", with the status that it comes with.
    static let table: [(Int, APNsReason, AnswerMeaning)] = [
        (400, .badCollapseId, .ownFault(.rejectedByProvider)), (400, .badDeviceToken, .badToken),
        (400, .badExpirationDate, .ownFault(.rejectedByProvider)), (400, .badMessageId, .ownFault(.rejectedByProvider)),
        (400, .badPriority, .ownFault(.rejectedByProvider)), (400, .badTopic, .ownFault(.rejectedByProvider)),
        (400, .deviceTokenNotForTopic, .wrongTopic),
        (400, .duplicateHeaders, .ownFault(.rejectedByProvider)), (400, .idleTimeout, .providerFailed(.unavailable)),
        (400, .invalidPushType, .ownFault(.rejectedByProvider)), (400, .missingDeviceToken, .ownFault(.rejectedByProvider)),
        (400, .missingTopic, .ownFault(.rejectedByProvider)), (400, .payloadEmpty, .ownFault(.rejectedByProvider)),
        (400, .topicDisallowed, .ownFault(.rejectedByProvider)), (403, .badCertificate, .credentialsRefused),
        (403, .badCertificateEnvironment, .credentialsRefused), (403, .badEnvironmentKeyIdInToken, .credentialsRefused),
        (403, .badEnvironmentKeyInToken, .credentialsRefused), (403, .expiredProviderToken, .credentialsExpired),
        (403, .forbidden, .credentialsRefused), (403, .invalidProviderToken, .credentialsRefused),
        (403, .missingProviderToken, .credentialsRefused),
        (403, .unrelatedKeyIdInToken, .credentialsRefused), (404, .badPath, .ownFault(.rejectedByProvider)),
        (405, .methodNotAllowed, .ownFault(.rejectedByProvider)), (410, .expiredToken, .deviceGone(since: 7)),
        (410, .unregistered, .deviceGone(since: 7)), (413, .payloadTooLarge, .ownFault(.tooLarge)),
        (429, .tooManyProviderTokenUpdates, .providerFailed(.unavailable)), (429, .tooManyRequests, .slowDown(retryAfter: nil)),
        (500, .internalServerError, .providerFailed(.internalError)), (503, .serviceUnavailable, .providerFailed(.unavailable)),
        (503, .shutdown, .providerFailed(.unavailable)),
    ]

    @Test(arguments: table) func everyReason(_ status: Int, _ reason: APNsReason, _ expected: AnswerMeaning) {
        #expect(APNsAnswer(status: status, reason: reason.rawValue, timestamp: 7).meaning == expected)
    }

    @Test func theTableIsWhole() {
        #expect(Set(Self.table.map(\.1)).union([.other]) == Set(APNsReason.allCases))
    }

    @Test(arguments: [
        (200, AnswerMeaning.accepted), (400, .ownFault(.rejectedByProvider)), (401, .credentialsRefused), (403, .credentialsRefused),
        (410, .deviceGone(since: nil)), (429, .slowDown(retryAfter: nil)), (500, .providerFailed(.internalError)),
        (502, .providerFailed(.internalError)),
        (503, .providerFailed(.unavailable)), (302, .ownFault(.rejectedByProvider)),
    ])
    func aReasonThatIsUnknown(_ status: Int, _ expected: AnswerMeaning) {
        #expect(APNsAnswer(status: status, reason: "SomethingNew").meaning == expected)
        #expect(APNsAnswer(status: status).meaning == expected)
    }

    @Test func theBody() {
        let answer = APNsAnswer(status: 410, body: Array(#"{"timestamp":1700,"x":[1],"reason":"Unregistered"}"#.utf8))
        #expect(answer == APNsAnswer(status: 410, reason: "Unregistered", timestamp: 1700))
        #expect(answer.knownReason == .unregistered)
        for body in ["", "[]", "{", #"{"reason":7}"#, #"{"reason":"\ud800"}"#, "\u{FF}"] {
            #expect(APNsAnswer(status: 500, body: Array(body.utf8)).knownReason == .other)
        }
        #expect(APNsAnswer(status: 503, body: [], retryAfter: "12").meaning == .providerFailed(.unavailable, retryAfter: 12))
        #expect(APNsAnswer(status: 429, body: [], retryAfter: "12").meaning == .slowDown(retryAfter: 12))
        for text in ["-1", "soon", "99999999999999999999"] {
            #expect(APNsAnswer(status: 503, body: [], retryAfter: text).retryAfter == nil)
        }
    }
}
