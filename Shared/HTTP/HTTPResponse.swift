/// An answer, ready to be encoded.
public struct HTTPResponse: Sendable {
    public var status: Int
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    /// The connection ends with this answer, whatever the client asked for.
    public var closes = false
    /// Set if `body` is a problem document. Its type becomes absolute when the request is known.
    private(set) var problem: Problem?

    public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// JSON that is already encoded. It is never stored by a cache: it belongs to one person.
    public static func json(_ body: [UInt8], status: Int = 200) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: [("Content-Type", "application/json"), ("Cache-Control", "no-store")], body: body)
    }

    public static func json(_ body: String, status: Int = 200) -> HTTPResponse {
        json(Array(body.utf8), status: status)
    }

    /// A problem document (RFC 9457). Its `type` ends in `/problems#<name>`; `detail` is for people.
    public static func problem(
        status: Int, name: String, detail: String, headers: [(name: String, value: String)] = []
    ) -> HTTPResponse {
        let problem = Problem(name: name, detail: detail)
        var response = HTTPResponse(
            status: status,
            headers: [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")] + headers,
            body: problem.document(status: status))
        response.problem = problem
        return response
    }

    public static func problem(_ error: HTTPError) -> HTTPResponse {
        problem(status: error.status, name: error.name, detail: error.detail)
    }

    /// The same, with the type of its problem document, where it is one, under this origin, `https://host`.
    func addressed(to origin: String) -> HTTPResponse {
        guard let problem else { return self }
        var response = self
        response.body = problem.document(status: status, origin: origin)
        return response
    }

    /// Status line and fields, up to and with the empty line. `omitsBody` (an answer to HEAD) changes nothing here: the
    /// length is that of the content that a GET would have had (RFC 9110 section 9.3.2).
    public func encodedHead(date: String, keepsAlive: Bool, minorVersion: Int = 1) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(HTTPResponse.reason(status))\r\nDate: \(date)\r\n"
        for (name, value) in headers { text += "\(HTTPResponse.safe(name)): \(HTTPResponse.safe(value))\r\n" }
        if status >= 200, status != 204, status != 304 { text += "Content-Length: \(body.count)\r\n" }
        if !keepsAlive {
            text += "Connection: close\r\n"
        } else if minorVersion == 0 {
            text += "Connection: keep-alive\r\n"
        }
        text += "\r\n"
        return Array(text.utf8)
    }

    /// The head of an answer whose content ends with the connection: it needs neither a length nor chunks
    /// (RFC 9112 section 6.3), for `HTTPExchange.upgrade`.
    public func encodedStreamHead() -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(HTTPResponse.reason(status))\r\n"
        for (name, value) in headers { text += "\(HTTPResponse.safe(name)): \(HTTPResponse.safe(value))\r\n" }
        return Array((text + "Connection: close\r\n\r\n").utf8)
    }

    /// A field's text with nothing in it that could end its line.
    static func safe(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) { return text }
        return String(decoding: text.utf8.map { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 ? $0 : 0x20 }, as: UTF8.self)
    }

    public static func reason(_ status: Int) -> String {
        switch status {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: status < 400 ? "OK" : "Error"
        }
    }
}

/// Text between the quotes of a JSON string (RFC 8259 section 7).
func jsonEscaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        default:
            if scalar.value < 0x20 {
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }
    return result
}
