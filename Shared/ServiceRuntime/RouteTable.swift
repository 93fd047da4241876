/// Which route a request is for. Pure: methods and path parts in, a route or the reason why there is none out.
struct RouteTable<Target> {
    enum Match {
        case found(Target, parameters: [String])
        /// The path exists; `allowed` is the value of `Allow` (RFC 9110 section 15.5.6).
        case methodNotAllowed(allowed: String)
        case notFound
    }

    private enum Part: Equatable { case text(String), parameter }

    private struct Route {
        let method: String
        let parts: [Part]
        let target: Target
    }

    private var routes: [Route] = []

    /// - Parameter pattern: `/v1/audiences/{id}/members`; a part in braces takes any single, non-empty part.
    mutating func add(_ method: String, _ pattern: String, _ target: Target) {
        let parts = pattern.split(separator: "/").map { $0.hasPrefix("{") ? Part.parameter : .text(String($0)) }
        precondition(!routes.contains { $0.method == method && $0.parts == parts }, "\(method) \(pattern) is routed twice")
        routes.append(Route(method: method, parts: parts, target: target))
    }

    /// - Parameter segments: the path's parts, percent-decoded. HEAD is answered where GET is.
    func match(_ method: String, _ segments: [String]) -> Match {
        let fitting = routes.filter { $0.parts.count == segments.count && fits($0.parts, segments) }
        if fitting.isEmpty { return .notFound }
        if let route = fitting.first(where: { $0.method == method || method == "HEAD" && $0.method == "GET" }) {
            let parameters = zip(route.parts, segments).compactMap { $0 == .parameter ? $1 : nil }
            return .found(route.target, parameters: parameters)
        }
        return .methodNotAllowed(allowed: fitting.map(\.method).joined(separator: ", "))
    }

    private func fits(_ parts: [Part], _ segments: [String]) -> Bool {
        zip(parts, segments).allSatisfy { part, segment in
            switch part {
            case .text(let text): text == segment
            case .parameter: !segment.isEmpty
            }
        }
    }
}
