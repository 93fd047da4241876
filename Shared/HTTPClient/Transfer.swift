internal import CCurl
internal import CUV
internal import EventLoop

/// One request on its way: what curl writes to, and who is told. Owned by the client until it ends, which is after the
/// last callback of its handle.
final class Transfer {
    let easy: UnsafeMutableRawPointer
    let completion: (Result<HTTPClientResponse, HTTPClientError>) -> Void
    private let maximumAnswer: Int
    private var lines: UnsafeMutablePointer<curl_slist>?
    private var headers: [(name: String, value: String)] = []
    private var headerBytes = 0
    private var body: [UInt8] = []
    private var isTooLarge = false

    /// Bytes of an answer's head.
    private static let maximumHead = 65_536

    init(
        _ easy: UnsafeMutableRawPointer, maximumAnswer: Int,
        _ completion: @escaping (Result<HTTPClientResponse, HTTPClientError>) -> Void
    ) {
        self.easy = easy
        self.maximumAnswer = maximumAnswer
        self.completion = completion
    }

    deinit {
        curl_slist_free_all(lines)
    }

    func prepare(_ request: HTTPClientRequest, _ configuration: HTTPClientConfiguration) {
        set(CURLOPT_URL, request.url)
        set(CURLOPT_PROTOCOLS_STR, "https,http")
        set(CURLOPT_PROXY, "")
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TIMEOUT_MS, milliseconds(request.timeout))
        set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(configuration.connectTimeout))
        if let file = configuration.caFile { set(CURLOPT_CAINFO, file) }
        set(CURLOPT_HTTP_VERSION, Int(configuration.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1))
        // Wait for the first connection's ALPN instead of opening one for each request of a burst.
        set(CURLOPT_PIPEWAIT, configuration.http2 ? 1 : 0)
        // Until the status line says HTTP/1: see `head`.
        set(CURLOPT_IGNORE_CONTENT_LENGTH, configuration.http2 ? 1 : 0)
        setSilence(configuration.silence)
        setBody(request)
        setHeaders(request)
        // Unretained: the client holds the transfer until curl is done with the handle.
        let me = Unmanaged.passUnretained(self).toOpaque()
        _ = carillon_easy_set_pointer(easy, CURLOPT_WRITEDATA, me)
        _ = carillon_easy_set_pointer(easy, CURLOPT_HEADERDATA, me)
        _ = carillon_easy_set_write(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, me in
            Transfer.of(me).head(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
        }
        _ = carillon_easy_set_write(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, me in
            Transfer.of(me).received(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
        }
    }

    /// What the request came to, once curl has said that it is over.
    func result(_ code: CURLcode) -> Result<HTTPClientResponse, HTTPClientError> {
        guard code == CURLE_OK else { return .failure(error(code)) }
        var status = 0
        _ = carillon_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        return .success(HTTPClientResponse(status: status, headers: headers, body: body))
    }

    private static func of(_ me: UnsafeMutableRawPointer?) -> Transfer {
        // Set in `prepare`; curl passes it back unchanged.
        Unmanaged<Transfer>.fromOpaque(me!).takeUnretainedValue()
    }

    /// For the socket of a connection that this request is the first of. The pointer carries the milliseconds and is never followed.
    private func setSilence(_ silence: Duration) {
        _ = carillon_easy_set_pointer(easy, CURLOPT_SOCKOPTDATA, UnsafeMutableRawPointer(bitPattern: milliseconds(silence)))
        _ = carillon_easy_set_socket_options(easy) { milliseconds, descriptor, _ in
            let milliseconds = UInt32(clamping: Int(bitPattern: milliseconds))
            let interval = max(1, Int32(clamping: milliseconds / 4_000))
            _ = carillon_tcp_keepalive(descriptor, interval, interval, 3)
            _ = carillon_tcp_user_timeout(descriptor, milliseconds)
            return CURL_SOCKOPT_OK
        }
    }

    private func setBody(_ request: HTTPClientRequest) {
        switch request.method {
        case "GET" where request.body.isEmpty: return
        case "HEAD": return set(CURLOPT_NOBODY, 1)
        case "POST": break
        default: set(CURLOPT_CUSTOMREQUEST, request.method)
        }
        guard request.method == "POST" || !request.body.isEmpty else { return }
        _ = carillon_easy_set_size(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.count))
        request.body.withUnsafeBytes { bytes in
            // An empty array may have no address, and none would mean "read from the callback".
            var nothing: UInt8 = 0
            if let start = bytes.baseAddress {
                _ = carillon_easy_set_bytes(easy, CURLOPT_COPYPOSTFIELDS, start)
            } else {
                _ = carillon_easy_set_bytes(easy, CURLOPT_COPYPOSTFIELDS, &nothing)
            }
        }
    }

    private func setHeaders(_ request: HTTPClientRequest) {
        // Without a value after the colon curl leaves out the header that it would add by itself.
        var texts = ["expect:"]
        if !request.headers.contains(where: { $0.name.lowercased() == "content-type" }) { texts.append("content-type:") }
        for header in request.headers {
            // A semicolon is curl's mark for a header with an empty value.
            texts.append(header.value.isEmpty ? "\(header.name);" : "\(header.name): \(header.value)")
        }
        for text in texts { lines = curl_slist_append(lines, text) ?? lines }
        _ = carillon_easy_set_list(easy, CURLOPT_HTTPHEADER, lines)
    }

    /// One line of the head. Over HTTP/2 an answer ends with END_STREAM and nothing else: a content-length of 0 would make
    /// curl 7.88 take the stream for finished and reset it when the empty DATA frame comes after, and a server counts resets.
    private func head(_ bytes: UnsafeRawBufferPointer) -> Bool {
        headerBytes += bytes.count
        guard headerBytes <= Self.maximumHead else {
            isTooLarge = true
            return false
        }
        let line = bytes.prefix { $0 != 0x0D && $0 != 0x0A }
        if line.starts(with: "HTTP/".utf8) {
            // A status line; what came before was an interim answer.
            headers = []
            if line.starts(with: "HTTP/1".utf8) { set(CURLOPT_IGNORE_CONTENT_LENGTH, 0) }
            return true
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return true }
        let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
        let value = line[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 }
        headers.append((name, String(decoding: value, as: UTF8.self)))
        return true
    }

    private func received(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard body.count + bytes.count <= maximumAnswer else {
            isTooLarge = true
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }

    private func error(_ code: CURLcode) -> HTTPClientError {
        if isTooLarge { return .answerTooLarge }
        let text = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_OPERATION_TIMEDOUT: return .timedOut
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_PROXY: return .unreachable(text)
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER,
            CURLE_SSL_CERTPROBLEM, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_ISSUER_ERROR:
            return .insecure(text)
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: return .invalidRequest(text)
        default: return .disconnected(text)
        }
    }

    private func set(_ option: CURLoption, _ value: Int) { _ = carillon_easy_set_long(easy, option, value) }
    private func set(_ option: CURLoption, _ value: String) { _ = carillon_easy_set_string(easy, option, value) }

    /// At least 1: curl reads 0 as "no limit".
    private func milliseconds(_ duration: Duration) -> Int {
        max(1, Int(clamping: min(duration.wholeMilliseconds, UInt64(Int32.max))))
    }
}
