internal import EventLoop
internal import Policies
internal import Settings
internal import Store

let doctorCommand = Command(
    "doctor", summary: "Check a deployment: broker, topics, Redis, policies, edge, credentials, and one event's whole way",
    details: """
        One line a check: ok, warn or fail, the latter two with what to do about it. Status 0 if nothing fails, else 1. Give it the
        services' own variables (KAFKA_BROKERS, REDIS_URL, POLICIES, EDGE_URL, NAMESPACE, DEDUP_WINDOW, TOKEN_SECRET, API_KEY). It
        changes nothing, but for the inbox of one person, carillon-doctor: it sends her an event and waits until it is there.
        """,
    options: [
        Option("no-edge", nil, "leave out the edge and what is behind it"),
        Option("no-policies", nil, "leave out the policies' file"),
        Option("no-canary", nil, "send no event"),
        Option("canary-type", "TYPE", "the type of that event (default: the first of the policies whose topic is there)"),
    ]
) { invocation in
    let (options, settings) = (invocation.options, invocation.settings)
    let loop = EventLoop(name: "carillonctl")
    loop.start()
    // All settings are read before anything is examined.
    let kafka = try settings.kafka()
    let dedupWindow = try settings.value(ControlSettings.dedupWindow)
    let policies = try settings.value(ControlSettings.policies)
    let store = try settings.store().examiner(on: loop)
    let door = options.has("no-edge") ? nil : (try settings.value(ControlSettings.edgeURL), try DoctorCredentials(settings))

    let (topics, brokerFindings) = examineBroker(kafka, dedupWindow: dedupWindow)
    var findings = brokerFindings
    if !options.has("no-policies") { findings += policyTopicFindings(kafka, policies: policies) }
    findings += storeFindings(await store.examine())
    if !options.has("no-policies") { findings.append(policyFinding(policies)) }
    if let (url, credentials) = door {
        let edge = await EdgeExamination(loop: loop, url: url, credentials: credentials).findings()
        findings += edge
        if !options.has("no-canary"), edge.allSatisfy(\.isWell), credentials.areWhole {
            let type = options["canary-type"] ?? canaryType(policies, topics: topics, kafka)
            findings.append(await Canary(loop: loop, url: url, credentials: credentials).fly(type))
        }
    }
    for service in operationsURLs(invocation.environment) {
        findings += await ServiceExamination(loop: loop).findings(service.name, service.urls)
    }
    let width = findings.map(\.name.count).max() ?? 0
    for finding in findings { invocation.terminal.line(finding.line(width: width)) }
    return findings.allSatisfy(\.isWell) ? Status.done : Status.failed
}

/// What one check came to.
struct Finding: Equatable, Sendable {
    enum Verdict: String, Sendable {
        case ok
        case warn, fail
    }

    let verdict: Verdict
    let name: String
    let text: String
    /// What to do about it; nil where all is well.
    let remedy: String?

    /// Nothing that must be mended.
    var isWell: Bool { verdict != .fail }

    static func ok(_ name: String, _ text: String) -> Finding { Finding(verdict: .ok, name: name, text: text, remedy: nil) }
    /// It works, and not as well as it could.
    static func warn(_ name: String, _ text: String, _ remedy: String) -> Finding {
        Finding(verdict: .warn, name: name, text: text, remedy: remedy)
    }
    static func fail(_ name: String, _ text: String, _ remedy: String) -> Finding {
        Finding(verdict: .fail, name: name, text: text, remedy: remedy)
    }

    func line(width: Int) -> String {
        let padding = String(repeating: " ", count: max(0, width - name.count))
        let word = verdict == .ok ? "ok  " : verdict.rawValue
        return "\(word)  \(name)\(padding)  \(printable(text))" + (remedy.map { "; \($0)" } ?? "")
    }
}

// MARK: Policies

func policyFinding(_ path: String) -> Finding {
    do {
        _ = try PolicyFile.read(path: path)
        return .ok("policies", "\(path) can be used")
    } catch {
        let complaint = error.complaints.first?.description ?? "it cannot be read"
        let more = error.complaints.count > 1 ? " (and \(error.complaints.count - 1) more)" : ""
        return .fail("policies", "\(path): \(complaint)\(more)", "mend the file, or set POLICIES to the right one")
    }
}

// MARK: Services

/// `OPERATIONS_GATEWAY` and its like, as a local cluster names them: base URLs separated by blanks.
func operationsURLs(_ environment: [String: String]) -> [(name: String, urls: [String])] {
    let own = [Common.operationsPort.name, Common.operationsAddress.name]
    return environment.keys.filter { $0.hasPrefix("OPERATIONS_") && !own.contains($0) }.sorted().map { name in
        let service = name.dropFirst("OPERATIONS_".count).lowercased().split(separator: "_").joined(separator: "-")
        return (service, (environment[name] ?? "").split(separator: " ").map(String.init))
    }
}
