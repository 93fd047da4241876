import Centrifuge
import Models
import Store

/// Sends control lines to connections here, at another loop, or at another gateway. Loop thread only.
final class Announcer {
    private let lease: GatewayLease
    private let clients: Clients
    private let router: any Router

    init(lease: GatewayLease, clients: Clients, router: any Router) {
        self.lease = lease
        self.clients = clients
        self.router = router
    }

    /// Closes a connection. For one that has left this does nothing.
    func close(_ connection: ConnectionID, _ disconnect: Disconnect) {
        let local = LocalConnection(index: connection.index, generation: connection.generation)
        guard connection.instance != lease.instance else {
            clients[local]?.disconnect(disconnect)
            return
        }
        let line = Control.closeLine(disconnect.code)
        var batch = GatewayBatch()
        batch.recipient(local, nil, accepted: 0)
        batch.end(line, line.indices)
        router.publish(batch.take(), to: connection.instance) { _ in }
    }

    /// Tells a person's devices what was marked. Each gateway with connections of the person gets one control line. The line is
    /// sent even if nothing has changed, because an earlier caller may have died before it sent one ("Repeating changes
    /// nothing"). A client that knows the revision is not told.
    func announce(_ marked: Marked) {
        let routes = marked.routes.compactMap { ConnectionID(String(decoding: $0, as: UTF8.self)) }
        guard !routes.isEmpty else { return }
        let line = Control.readLine(marked.counts)
        var batches: [InstanceID: GatewayBatch] = [:]
        for route in routes {
            let local = LocalConnection(index: route.index, generation: route.generation)
            batches[route.instance, default: GatewayBatch()].recipient(local, nil, accepted: 0)
        }
        for (instance, var batch) in batches {
            batch.end(line, line.indices)
            // A gateway notices by the numbers that a batch is lost. It compares all sessions if Redis was away.
            router.publish(batch.take(), to: instance) { _ in }
        }
    }
}
