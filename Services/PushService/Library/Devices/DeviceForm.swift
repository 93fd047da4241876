internal import Models
internal import Store

/// A device as JSON: `{"token","platform":"apns","app","environment"}`.
enum DeviceForm {
    struct Complaint: Error, Equatable {
        let text: String
    }

    /// Letters of a token, as providers give them out; it stands in a path of the provider's.
    static let longestToken = 200
    static let longestApp = 255

    /// - Parameter environment: of a device that names none.
    static func read(_ body: [UInt8], environment: APNsEnvironment = .production) -> Result<Device, Complaint> {
        var device = Device(token: "", platform: "", app: "", environment: environment.rawValue)
        do {
            try read(body.span, &device)
        } catch {
            return .failure(Complaint(text: "The body is not a JSON object of texts."))
        }
        guard isToken(device.token) else {
            return .failure(Complaint(text: "token must be 1 to \(longestToken) letters, digits, - or _."))
        }
        guard ProviderName(of: device) == .apns else { return .failure(Complaint(text: "platform must be apns.")) }
        guard device.app.utf8.count <= longestApp, device.app.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            return .failure(Complaint(text: "app must be an app's id of at most \(longestApp) bytes."))
        }
        guard APNsEnvironment(name: device.environment) != nil else {
            return .failure(Complaint(text: "environment must be production or sandbox."))
        }
        device.token = Device.canonical(token: device.token)
        return .success(device)
    }

    static func encode(_ device: Device) -> [UInt8] {
        var writer = JSONWriter()
        write(device, &writer)
        return writer.take()
    }

    static func encode(_ devices: [Device]) -> [UInt8] {
        var writer = JSONWriter()
        writer.raw(#"{"devices":["#)
        for (index, device) in devices.enumerated() {
            if index > 0 { writer.raw(",") }
            write(device, &writer)
        }
        writer.raw("]}")
        return writer.take()
    }

    static func isToken(_ token: String) -> Bool {
        guard (1...longestToken).contains(token.utf8.count) else { return false }
        return token.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }

    private static func read(_ bytes: Span<UInt8>, _ device: inout Device) throws(JSONError) {
        var at = 0
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSON.text(bytes, name) {
            case "token": device.token = try text(bytes, &at) ?? ""
            case "platform": device.platform = try text(bytes, &at) ?? ""
            case "app": device.app = try text(bytes, &at) ?? ""
            case "environment": device.environment = try text(bytes, &at) ?? device.environment
            default: _ = try JSON.value(bytes, &at)
            }
        }
        try JSON.end(bytes, &at)
    }

    private static func text(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> String? {
        try JSON.optionalString(bytes, &at).map { JSON.text(bytes, $0) }
    }

    private static func write(_ device: Device, _ writer: inout JSONWriter) {
        writer.raw(#"{"token":"#)
        writer.string(device.token)
        writer.raw(#","platform":"#)
        writer.string(device.platform)
        writer.raw(#","app":"#)
        writer.string(device.app)
        writer.raw(#","environment":"#)
        writer.string(device.environment)
        writer.raw("}")
    }
}
