/// The page that the types of problem documents lead to (RFC 9457 section 3.1.1). Every service answers it, so a type is an
/// address that answers wherever its problem was met.
enum ProblemPage {
    static let path = "/problems"

    /// Name, status, and what it means; docs/protocol.md says the same (a test compares the names).
    static let entries: [(name: String, status: Int, text: String)] = [
        ("token_expired", 401, "the token's exp has passed"),
        ("token_invalid", 401, "missing, malformed, forged, or not meant for this installation; detail says which"),
        ("token_revoked", 401, "the token, or all of the person's of its time, was revoked"),
        ("origin_not_allowed", 403, "a web page asks whose origin is neither listed in ALLOWED_ORIGINS nor the host's own"),
        ("api_key_invalid", 401, "X-API-Key is missing or wrong"),
        ("too_many_wrong_keys", 429, "many wrong API keys came from this address; come back after Retry-After"),
        ("invalid_request", 400, "detail names what is wrong"),
        ("device_not_served", 400, "pushes to a device of that app or environment are not sent here; detail says what is served"),
        ("invalid_limit", 400, "limit is not a number in its bounds"),
        ("invalid_wait", 400, "wait of a long poll is not a number of seconds"),
        ("invalid_device", 400, "the device's id is none"),
        ("malformed_request", 400, "it is not HTTP as RFC 9112 has it; the connection closes"),
        ("not_found", 404, "there is nothing at this path, or not any more"),
        ("method_not_allowed", 405, "Allow names the methods of this path"),
        ("not_json", 400, "the value is not JSON (RFC 8259), or not UTF-8"),
        ("not_cloudevents", 400, "an attribute of the event is missing or not what it must be; detail names it"),
        ("unknown_type", 400, "no policy names the type of the event"),
        ("invalid_data", 400, "a member of the data is missing or not what it must be; detail names it"),
        ("too_old", 400, "the event is older than DEDUP_WINDOW: it could no longer be shown once"),
        ("unknown_topic", 404, "POST /v1/events: the type's topic does not exist, and the broker makes none; detail names it"),
        (
            "unsupported_media_type", 415,
            "POST /v1/events: events in another format than JSON, data that are not JSON, or compressed content"
        ),
        ("request_timeout", 408, "the request did not arrive whole in time"),
        ("too_large", 413, "the event is larger than EVENT_MAX_BYTES"),
        ("content_too_large", 413, "the body is over the limit"),
        ("request_line_too_long", 414, "the request line is over 8 KB"),
        ("expectation_failed", 417, "an Expect other than 100-continue"),
        ("upgrade_required", 426, "a WebSocket begins with Upgrade: websocket and version 13"),
        ("websocket_version", 426, "a WebSocket begins with Upgrade: websocket and version 13"),
        ("websocket_key", 400, "Sec-WebSocket-Key is not 16 bytes in Base64, or stands twice"),
        ("websocket_protocol", 400, "Sec-WebSocket-Protocol names none that is spoken: centrifuge-json"),
        ("plain_event_source", 400, "an SDK's own transport over SSE asks where a plain EventSource is served"),
        ("headers_too_large", 431, "the header fields are over 32 KB, or more than 100"),
        ("internal_error", 500, "a mistake of ours"),
        ("transfer_coding_unknown", 501, "the only transfer coding is chunked"),
        ("version_not_supported", 505, "HTTP/1.1 and HTTP/1.0 are spoken"),
        ("too_many_requests", 429, "the edge had too many requests of this address; come back after Retry-After"),
        (
            "too_many_connections", 429,
            "MAX_CONNECTIONS_PER_ADDRESS connections come from this address already; come back after Retry-After"
        ),
        ("overloaded", 503, "too much at once: MAX_CONNECTIONS, or ADMISSION_RATE new sessions a second; come back after Retry-After"),
        ("unavailable", 503, "something that this needs is away; come back after Retry-After"),
    ]

    static let response: HTTPResponse = {
        var text = """
            <!DOCTYPE html>
            <html lang="en"><meta charset="utf-8"><title>Problems</title>
            <h1>Problems</h1>
            <p>What the type of a problem document (RFC 9457) means.</p>
            <dl>

            """
        for entry in entries {
            text += "<dt id=\"\(entry.name)\"><code>\(entry.name)</code>, \(entry.status)</dt><dd>\(entry.text)</dd>\n"
        }
        return HTTPResponse(
            status: 200,
            headers: [
                ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "max-age=3600"),
                ("Content-Security-Policy", "default-src 'none'"),
            ], body: Array((text + "</dl>\n").utf8))
    }()
}
