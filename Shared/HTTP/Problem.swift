/// What a problem document says (RFC 9457). The address of its type is added when the request is known.
struct Problem: Sendable {
    let name: String
    /// A sentence for people.
    let detail: String

    /// - Parameter origin: `https://host`, as the client asked, so that the type is an absolute address that answers. Empty if
    ///   it is not known who asked: the type is then relative.
    func document(status: Int, origin: String = "") -> [UInt8] {
        let type = origin + ProblemPage.path + "#" + name
        let text =
            #"{"type":""# + jsonEscaped(type) + #"","title":""# + jsonEscaped(HTTPResponse.reason(status))
            + #"","status":\#(status),"detail":""# + jsonEscaped(detail) + #""}"#
        return Array(text.utf8)
    }
}

extension HTTPFields {
    /// Scheme and host that the client asked, `https://host:port`. A proxy's `X-Forwarded-Proto` counts more than the protocol
    /// of this connection. Empty if the fields name no host that can stand in an address.
    func origin(isTLS: Bool) -> String {
        guard let host = first("host").map({ String(decoding: value($0), as: UTF8.self) }), !host.isEmpty, host.utf8.count <= 255,
            host.utf8.allSatisfy(Self.isOfHost)
        else { return "" }
        let forwarded = tokens("x-forwarded-proto").first
        let isSecure = forwarded.map { $0 == "https" || $0 == "wss" } ?? isTLS
        return (isSecure ? "https://" : "http://") + host
    }

    private static func isOfHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }
}
