/// How one learns that a program can do its work.
public enum Probe: Equatable, Sendable {
    /// Answers a PING of the Redis protocol.
    case redis(port: Int)
    /// Answers an ApiVersions request of the Kafka protocol.
    case kafka(port: Int)
    /// Answers 200 to a GET.
    case http(port: Int, path: String)
    /// Has written this file.
    case file(String)
}

/// The order in which members start; they stop in the opposite one.
public enum Stage: Int, CaseIterable, Comparable, Sendable {
    /// Redis, the broker, the stand-in for APNs.
    case servers
    case services
    case edge

    public static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
}

/// One program of the cluster: what is run, and how one learns that it works.
public struct MemberPlan: Equatable, Sendable {
    /// `gateway-2`, `redis`: names its log, and a service's INSTANCE_ID.
    public var name: String
    public var stage: Stage
    /// `nil` for what is no service of ours.
    public var service: ServiceName?
    public var executable: String
    public var arguments: [String]
    /// Added to this process's own environment.
    public var environment: [String: String]
    public var probe: Probe

    public init(
        name: String, stage: Stage, service: ServiceName? = nil, executable: String, arguments: [String] = [],
        environment: [String: String] = [:], probe: Probe
    ) {
        self.name = name
        self.stage = stage
        self.service = service
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.probe = probe
    }
}
