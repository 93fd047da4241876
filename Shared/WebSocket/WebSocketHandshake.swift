public import HTTP
import Tokens

/// The opening handshake, the server's side (RFC 6455 section 4.2).
public enum WebSocketHandshake {
    /// The head of the 101 that answers `request`, or the refusal: 405, 400, or 426 with the version that is spoken here.
    ///
    /// - Parameters:
    ///   - protocols: the subprotocols that are spoken, in lower case. A client that offers some and none of these is refused.
    ///   A client that offers none is accepted.
    ///     none at all is taken at its word that it knows what it will hear.
    ///   - deflates: whether compression may be agreed on.
    public static func answer(
        _ request: HTTPRequest, protocols: [String] = [], deflates: Bool = false
    ) -> Result<WebSocketOpening, WebSocketRefusal> {
        guard request.method == "GET" else {
            return refuse(405, "method_not_allowed", "A WebSocket begins with GET.", [("Allow", "GET")])
        }
        guard request.minorVersion >= 1, request.tokens("connection").contains("upgrade"),
            request.tokens("upgrade").contains("websocket")
        else {
            return refuse(
                426, "upgrade_required", "A WebSocket begins with Connection: Upgrade and Upgrade: websocket.",
                [("Upgrade", "websocket"), ("Connection", "Upgrade")])
        }
        guard request.tokens("sec-websocket-version") == ["13"] else {
            return refuse(
                426, "websocket_version", "The WebSocket version here is 13.", [("Sec-WebSocket-Version", "13")])
        }
        // It must not stand twice (section 11.3.1); a key holds no comma, so its field is one token.
        guard request.tokens("sec-websocket-key").count == 1, let key = request.header("sec-websocket-key"),
            isKey(Array(key.utf8))
        else {
            return refuse(400, "websocket_key", "Sec-WebSocket-Key is not 16 bytes in Base64, once.", [])
        }
        let offered = request.tokens("sec-websocket-protocol")
        let chosen = offered.first { protocols.contains($0) }
        guard chosen != nil || offered.isEmpty else {
            let spoken = protocols.isEmpty ? "none is spoken here" : "spoken here: \(protocols.joined(separator: ", "))"
            return refuse(
                400, "websocket_protocol", "None of the subprotocols in Sec-WebSocket-Protocol can be served; \(spoken).", [])
        }
        let agreed = chosen.map { "Sec-WebSocket-Protocol: \($0)\r\n" } ?? ""
        let offer = deflates ? DeflateOffer.first(in: extensions(request)) : nil
        let extensions = offer.map { "Sec-WebSocket-Extensions: \($0.answer)\r\n" } ?? ""
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: \(accept(key))\r\n\(agreed)\(extensions)\r\n"
        return .success(WebSocketOpening(head: Array(head.utf8), isDeflating: offer != nil, subprotocol: chosen))
    }

    /// All fields of that name are one list (RFC 6455 section 9.1).
    private static func extensions(_ request: HTTPRequest) -> String {
        request.headers(prefixed: "sec-websocket-extensions").filter { $0.name == "sec-websocket-extensions" }
            .map(\.value).joined(separator: ",")
    }

    /// `Sec-WebSocket-Accept` for a key (section 4.2.2, 5.4).
    static func accept(_ key: String) -> String {
        base64(sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    private static func refuse(
        _ status: Int, _ name: String, _ detail: String, _ headers: [(name: String, value: String)]
    ) -> Result<WebSocketOpening, WebSocketRefusal> {
        .failure(
            WebSocketRefusal(response: .problem(status: status, name: name, detail: detail, headers: headers)))
    }

    /// 24 characters that stand for 16 bytes.
    private static func isKey(_ key: [UInt8]) -> Bool {
        guard key.count == 24, key[22] == UInt8(ascii: "="), key[23] == UInt8(ascii: "=") else { return false }
        return key.prefix(22).allSatisfy { base64Alphabet.contains($0) }
    }

    private static let base64Alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}

/// A handshake that is accepted.
public struct WebSocketOpening: Sendable {
    /// The head of the 101.
    public let head: [UInt8]
    /// permessage-deflate was agreed on: the parser must allow it.
    public let isDeflating: Bool
    /// The subprotocol that was agreed on; nil if the client offered none.
    public let subprotocol: String?
}

/// A handshake that is refused, with its answer.
public struct WebSocketRefusal: Error, Sendable {
    public let response: HTTPResponse
}
