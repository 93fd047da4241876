import Testing

/// Imports point down: Main → Library → ServiceStore, ServiceKafka → ServiceRuntime, Store → drivers, HTTP → Network → EventLoop → C.
/// Models and Rules stand beside them and import none of them.
@Suite struct LayersTests {
    /// A module imports only modules of a lower rank.
    private static let ranks = [
        "EventLoop": 1, "Models": 1, "Settings": 1, "Network": 2, "Tokens": 2, "Rules": 2, "Centrifuge": 2, "Lanes": 2, "Policies": 2,
        "HTTPClient": 2, "Kafka": 3, "HTTP": 3, "Redis": 3, "WebSocket": 4, "Store": 4, "ServiceRuntime": 5,
        "ServiceStore": 6, "ServiceKafka": 6,
    ]
    private static let library = 7
    private static let main = 8

    private struct Import {
        let file: String
        let module: String
    }

    private static func imports(_ file: SourceFile) -> [Import] {
        file.lines.compactMap { line in
            let words = line.code.split(separator: " ").map(String.init)
            guard let index = words.firstIndex(of: "import"), index < 2, words.count > index + 1 else { return nil }
            guard index == 0 || ["public", "package", "internal", "private", "fileprivate", "@testable"].contains(words[0])
            else { return nil }
            let last = words[words.count - 1]
            return Import(file: file.path, module: String(last.split(separator: ".")[0]))
        }
    }

    private static func rank(of file: SourceFile) -> Int? {
        let parts = file.path.split(separator: "/").map(String.init)
        if parts[0] == "Shared" { return ranks[parts[1]] }
        return parts.count > 2 && parts[2] == "Main" ? main : library
    }

    private static let services = Set(
        Repository.shipped.filter { $0.isUnder("Services") }.map { String($0.path.split(separator: "/")[1]) })

    @Test func importsPointDown() {
        for file in Repository.shipped {
            guard let own = Self.rank(of: file) else {
                Issue.record("\(file.path): its module has no rank")
                continue
            }
            for found in Self.imports(file) {
                guard let rank = Self.ranks[found.module] else { continue }
                #expect(rank < own, "\(found.file) imports \(found.module), which is not below it")
            }
        }
    }

    @Test func noServiceImportsAnother() {
        #expect(Self.services.count >= 6)
        for file in Repository.shipped {
            let own = file.isUnder("Services") ? String(file.path.split(separator: "/")[1]) : ""
            let isMain = file.path.split(separator: "/")[2] == "Main"
            for found in Self.imports(file) where Self.services.contains(found.module) {
                #expect(found.module == own && isMain, "\(found.file) imports the service \(found.module)")
            }
        }
    }

    @Test func modelsAndRulesTouchNothing() {
        let allowed = [
            "Shared/Models": [], "Shared/Rules": ["Models"], "Shared/Centrifuge": ["Models"], "Shared/Lanes": ["Models"],
            "Shared/Settings": ["Glibc"],
        ]
        for (folder, modules) in allowed {
            for file in Repository.shipped where file.isUnder(folder) {
                for found in Self.imports(file) where found.module != "Foundation" {
                    #expect(modules.contains(found.module), "\(found.file) imports \(found.module)")
                }
            }
        }
    }

    /// What runs a service knows no store and no broker; what runs on a store knows none of its drivers.
    @Test func nothingReachesBehindABorder() {
        for file in Repository.shipped {
            for found in Self.imports(file) {
                if file.isUnder("Shared/ServiceRuntime") {
                    #expect(!["Redis", "Kafka", "Store"].contains(found.module), "\(found.file) imports \(found.module)")
                }
                if file.isUnder("Services") || file.isUnder("Shared/ServiceStore") {
                    #expect(found.module != "Redis", "\(found.file) imports Redis")
                }
            }
        }
    }

    /// C is reached through `Shared` alone.
    @Test func servicesKnowNoC() {
        let c = Set(Repository.files.filter { $0.isUnder("Shared/C") }.map { String($0.path.split(separator: "/")[2]) })
        #expect(c.contains("CUV"))
        for file in Repository.shipped where file.isUnder("Services") {
            for found in Self.imports(file) {
                #expect(!c.contains(found.module), "\(found.file) imports \(found.module)")
            }
        }
    }

    /// What the package declares for a service names no other service.
    @Test func packageDeclaresNoServiceForAnother() throws {
        let package = try #require(Repository.files.first { $0.path == "Package.swift" })
        let declared = package.lines.filter { $0.contains("targets += service(") }
        #expect(declared.count >= 6)
        for line in declared {
            for service in Self.services where line.contains("\"\(service)\"") {
                #expect(line.contains("service(\"\(service)\""), "Package.swift: \(line)")
            }
        }
    }

    @Test func nothingIsResolved() {
        #expect(!Repository.exists("Package.resolved"))
    }
}
