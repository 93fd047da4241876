// swift-tools-version: 6.2
import PackageDescription

// Everything that is not ours comes from the distribution: no package is resolved, so the suite builds offline.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
    // docs/decisions/0012: the compiler's own checks of exclusive access stay, and the tests make the others.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]
/// Code without a pointer: what decides, and what is shared by all that decide.
let pointerFree = strict + [.strictMemorySafety()]

func cLibrary(_ name: String) -> Target {
    .systemLibrary(name: name, path: "Shared/C/\(name)")
}

func shared(
    _ name: String, _ dependencies: [Target.Dependency] = [], tests: [Target.Dependency] = [], settings: [SwiftSetting] = strict
) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, path: "Shared/\(name)", swiftSettings: settings),
        .testTarget(
            name: "\(name)Tests", dependencies: dependencies + tests + [.init(stringLiteral: name), "TestSupport"],
            path: "Tests/\(name)Tests", swiftSettings: strict),
    ]
}

/// A service is a library that decides and a main file that wires; its product bears the kebab-case name. What `tests` names
/// stands behind a border that the service knows, and only its tests look behind it.
func service(_ name: String, _ dependencies: [Target.Dependency], tests: [Target.Dependency] = []) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, path: "Services/\(name)/Library", swiftSettings: pointerFree),
        .executableTarget(
            name: "\(name)Main", dependencies: [.init(stringLiteral: name), "ServiceRuntime"],
            path: "Services/\(name)/Main", swiftSettings: pointerFree),
        .testTarget(
            name: "\(name)Tests", dependencies: dependencies + tests + [.init(stringLiteral: name), "TestSupport"],
            path: "Tests/\(name)Tests", swiftSettings: strict),
    ]
}

let runtime: [Target.Dependency] = ["ServiceRuntime", "Settings", "Models", "EventLoop"]

var targets: [Target] = ["CUV", "CHiredis", "CRDKafka", "CCurl", "COpenSSL", "CYAML", "CZlib"].map(cLibrary)
targets += shared("Models", settings: pointerFree)
targets += shared("Rules", ["Models"], settings: pointerFree)
targets += shared("Lanes", settings: pointerFree)
targets += shared("Centrifuge", ["Models"], settings: pointerFree)
targets += shared("Policies", ["Models", "CYAML"])
targets += shared("EventLoop", ["CUV"])
targets += shared("Network", ["EventLoop", "CUV", "COpenSSL"])
targets += shared("Tokens", ["COpenSSL", "Models"])
targets += shared("Settings")
targets += shared("HTTP", ["Network", "EventLoop", "Models"])
targets += shared("WebSocket", ["HTTP", "Network", "EventLoop", "Tokens", "CZlib"])
targets += shared("Redis", ["Network", "EventLoop", "CHiredis", "Settings"])
targets += shared("Store", ["Redis", "Models", "EventLoop", "Settings", "Tokens"], tests: ["StoreTestSupport"])
targets += shared("Kafka", ["EventLoop", "CRDKafka", "Settings"])
targets += shared("HTTPClient", ["EventLoop", "CCurl", "CUV"])
targets += shared("ServiceRuntime", ["EventLoop", "Network", "HTTP", "Settings", "Tokens", "Models"])
targets += shared("ServiceStore", ["ServiceRuntime", "Store", "EventLoop", "Settings", "Models", "Tokens", "Lanes"])
targets += shared("ServiceKafka", ["ServiceRuntime", "Kafka", "EventLoop", "Models", "Settings", "Tokens"])
let gateway: [Target.Dependency] = ["Centrifuge", "Network", "HTTP", "WebSocket", "Store", "ServiceStore", "Tokens"]
targets += service("Gateway", runtime + gateway, tests: ["Redis", "StoreTestSupport"])
targets += service("NotificationService", runtime + ["HTTP", "Kafka", "ServiceKafka", "Policies", "Rules", "Tokens"])
targets += service(
    "FanoutWorker", runtime + ["HTTP", "Kafka", "ServiceKafka", "Store", "ServiceStore", "Rules", "Lanes"], tests: ["Redis"])
targets += service("PresenceService", runtime + ["HTTP", "Store", "ServiceStore"], tests: ["Redis", "StoreTestSupport"])
targets += service(
    "PushService", runtime + ["HTTP", "HTTPClient", "Kafka", "ServiceKafka", "Store", "ServiceStore", "Tokens", "Lanes"])
targets += service("Carillonctl", runtime + ["HTTPClient", "Kafka", "Network", "Store", "Tokens", "Policies"])
targets += service("LocalCluster", runtime + ["Kafka", "Network"])
targets.append(
    .target(name: "TestSupport", dependencies: ["EventLoop", "CUV"], path: "Tests/TestSupport", swiftSettings: strict))
targets.append(
    .target(
        name: "StoreTestSupport", dependencies: ["Store", "Models", "EventLoop"], path: "Tests/StoreTestSupport",
        swiftSettings: strict))
targets.append(
    .testTarget(name: "TestSupportTests", dependencies: ["TestSupport"], path: "Tests/TestSupportTests", swiftSettings: strict))
targets.append(
    .testTarget(name: "ArchitectureTests", path: "Tests/ArchitectureTests", swiftSettings: strict))

targets.append(
    .executableTarget(
        name: "Benchmarks", dependencies: ["EventLoop", "Network", "Kafka", "Tokens"], path: "Benchmarks/Load",
        swiftSettings: strict))

let products: [Product] = [
    ("gateway", "GatewayMain"), ("notification-service", "NotificationServiceMain"),
    ("fanout-worker", "FanoutWorkerMain"), ("presence-service", "PresenceServiceMain"),
    ("push-service", "PushServiceMain"), ("carillonctl", "CarillonctlMain"), ("carillon-local", "LocalClusterMain"),
    ("carillon-bench", "Benchmarks"),
].map { .executable(name: $0.0, targets: [$0.1]) }

let package = Package(name: "carillon", products: products, targets: targets)
