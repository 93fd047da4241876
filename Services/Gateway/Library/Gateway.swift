public import EventLoop
import Network
public import ServiceRuntime
import Settings

/// The service that holds the clients' connections. It has no business rules. It writes to each client what is in its person's
/// inbox behind the client's position.
public actor Gateway: Service {
    public static let name = "gateway"
    public static let summary =
        "carillon gateway: holds the connections of clients (WebSocket, SSE, long poll) and writes to each what is new in its "
        + "person's inbox, once and in order."

    public nonisolated let loop: EventLoop
    private let context: ServiceContext<GatewaySettings>
    private let loops: [GatewayLoop]

    public init(context: ServiceContext<GatewaySettings>) throws {
        loop = context.loop
        self.context = context
        let occupancy = Occupancy(rate: context.settings.admission.rate, now: context.loop.now)
        let apiKeys = context.settings.apiKey.map { APIKeyCheck($0, trusted: context.trustedProxies) }
        loops = (1...context.settings.loops.count).map { number in
            let loop = number == 1 ? context.loop : EventLoop(name: "gateway-\(number)")
            return GatewayLoop(home: context, loop: loop, number: number, occupancy: occupancy, apiKeys: apiKeys)
        }
    }

    public func start() async throws {
        // If any free port will do, the first loop chooses one for all loops.
        var port = context.process.port
        let tls = try readCertificate()
        for member in loops {
            if member.loop !== loop { member.loop.start() }
            port = try await member.start(port: port, tls: tls)
        }
        context.listens(on: port)
    }

    private func readCertificate() throws -> TLSContext? {
        guard let certificate = context.settings.certificate else { return nil }
        context.onReload { self.readAgain(certificate) }
        do {
            return try certificate.load()
        } catch {
            throw StartError("TLS_CERTIFICATE_FILE, TLS_KEY_FILE: \(error)")
        }
    }

    /// A pair that cannot be used changes nothing. An operator whose files were half-written sends the signal once more.
    private func readAgain(_ certificate: Certificate) {
        do {
            let tls = try certificate.load()
            for member in loops { Task { await member.use(tls) } }
            context.log.info("the certificate was read again")
        } catch {
            context.log.error("the certificate is kept: the new one cannot be used", ["reason": .error(error)])
        }
    }

    public func drain() async {
        await withTaskGroup { group in
            for member in loops { group.addTask { await member.drain() } }
        }
        for member in loops where member.loop !== loop { member.loop.stop() }
    }
}
