// What must hold of the request parser for any bytes at all. Tests/Fuzz compiles this file too, beside the parser's sources.
#if !FUZZING
    import TestSupport

    @testable import HTTP
#endif

/// What is wrong with what the parser makes of `input`, or nil. An odd first byte chooses small limits.
func faultOfRequests(_ input: [UInt8]) -> String? {
    guard let first = input.first else { return nil }
    var limits = HTTPLimits()
    limits.bodyBytes = 512
    if first & 1 == 1 { (limits.requestLine, limits.headerBytes, limits.headerCount, limits.chunkLine) = (32, 96, 4, 8) }
    let bytes = Array(input.dropFirst())
    let whole = RequestReading([bytes], limits)
    for pieces in splits(of: bytes) where RequestReading(pieces, limits) != whole {
        return "split into \(pieces.map(\.count)) it reads otherwise"
    }
    if whole.isFailureForgotten { return "a parser that goes on after an error" }
    for request in whole.requests {
        if request.body.count > limits.bodyBytes { return "a body over the limit" }
        if request.path != "*", !request.path.hasPrefix("/") { return "a path without a slash" }
        if request.fields.count > limits.headerCount { return "fields over the limit" }
        for field in request.fields where field.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) {
            return "a line break within a field"
        }
    }
    return nil
}

private struct RequestReading: Equatable {
    struct Request: Equatable {
        var method: String
        var path: String
        var segments: [String]
        var query: [String]
        var minorVersion: Int
        var fields: [String]
        var body: [UInt8]
        var keepsAlive: Bool

        init(_ request: HTTPRequest) {
            method = request.method
            path = request.path
            segments = request.pathSegments
            query = request.query.map { "\($0.name)=\($0.value)" }
            minorVersion = request.minorVersion
            fields = request.headers(prefixed: "").map { "\($0.name): \($0.value)" }
            body = request.body
            keepsAlive = request.keepsAlive
        }
    }

    var requests: [Request] = []
    var error: HTTPError?
    var isFailureForgotten = false
    var isIdle = true

    init(_ pieces: [[UInt8]], _ limits: HTTPLimits) {
        var parser = HTTPRequestParser(limits: limits)
        do {
            for piece in pieces {
                var offset = 0
                while let request = try parser.next(piece.span, at: &offset) { requests.append(Request(request)) }
            }
        } catch {
            self.error = error
            var offset = 0
            let more: [UInt8] = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            isFailureForgotten = (try? parser.next(more.span, at: &offset)) != nil
        }
        isIdle = parser.isIdle
    }
}
