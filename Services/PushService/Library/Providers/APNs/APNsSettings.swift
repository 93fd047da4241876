internal import Settings
internal import Store

/// How we prove to Apple who sends.
public struct APNsCredentials: Sendable {
    public var keyFile: String
    public var keyID: String
    public var teamID: String
}

/// Where pushes go, and as what.
public struct APNsSettings: Sendable {
    /// `https://host:port`, without a slash at its end.
    public var url: String
    /// Where devices of the sandbox are; the same as `url` where that makes no difference between them.
    public var sandboxURL: String
    /// Which environments' devices can be served.
    public var environments: [APNsEnvironment]
    public var caFile: String?
    /// The bundle ids of the apps that are served, the first one for devices that name none. Empty: none was given.
    public var topics: [String]
    public var timeout: Duration
    public var maximumInFlight: Int
    public var maximumConnections: Int
    /// `nil`: none were given, and nothing can be sent.
    public var credentials: APNsCredentials?
}

/// Where a device token is good.
public enum APNsEnvironment: String, Sendable {
    case production, sandbox

    /// `development` is what Xcode calls the sandbox.
    init?(name: String) {
        guard let environment = name == "development" ? .sandbox : APNsEnvironment(rawValue: name) else { return nil }
        self = environment
    }
}

extension APNsSettings {
    private static let appleProduction = "api.push.apple.com"
    private static let appleSandbox = ["api.sandbox.push.apple.com", "api.development.push.apple.com"]

    /// The sandbox's address and the environments that can be served. Apple's own hosts serve one each; any other (a stand-in, a proxy)
    /// serves all, unless the sandbox was given an address of its own.
    static func environments(url: HostPort, sandbox: HostPort?) -> (sandboxURL: HostPort, served: [APNsEnvironment]) {
        if appleSandbox.contains(url.host) { return (url, [.sandbox]) }
        let others = url.host == appleProduction ? HostPort(host: appleSandbox[0], port: 443) : url
        return (sandbox ?? others, [.production, .sandbox])
    }

    /// Where a device is reached. One that is registered for what is not served goes where all went before this was looked at.
    func url(for device: Device) -> String {
        APNsEnvironment(name: device.environment) == .sandbox ? sandboxURL : url
    }

    /// The topic of a device's app, by the same rule.
    func topic(for device: Device) -> String { serves(device.app) ? device.app : topics.first ?? "" }

    /// Why a device cannot be served: what is served instead. `nil`: it can.
    func refusal(of device: Device) -> String? {
        if let environment = APNsEnvironment(name: device.environment), !environments.contains(environment) {
            return "environment must be \(environments.map(\.rawValue).joined(separator: " or ")): no other is served here."
        }
        guard device.app.isEmpty || topics.isEmpty || serves(device.app) else {
            return "app must be \(topics.joined(separator: " or ")): no other is served here."
        }
        return nil
    }

    /// An id is its bytes: one that only looks the same, as canonically equivalent letters do, is another app's.
    private func serves(_ app: String) -> Bool { topics.contains { $0.utf8.elementsEqual(app.utf8) } }
}
