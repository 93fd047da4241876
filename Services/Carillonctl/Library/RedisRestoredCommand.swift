internal import EventLoop
internal import Store

let redisRestoredCommand = Command(
    "redis restored", summary: "Say that Redis was set back to an older state: no cursor of before is recovered",
    details: """
        For a Redis that was restored from a backup while all services were stopped. What a running service sees for itself it
        says for itself. Every client that comes with a position of before is told that something may be missing. Gateways
        take it over with their next renewal. Each call counts: do it once for each restore, after Redis is up and before
        the fanout-workers' group is rewound.
        """
) { invocation in
    let place = try invocation.settings.store()
    let loop = EventLoop(name: "carillonctl")
    loop.start()
    let generation = try await GenerationRaiser(loop: loop).raise(at: place)
    invocation.terminal.line("generation \(generation)")
    return Status.done
}

/// One command to Redis.
private actor GenerationRaiser: LoopActor {
    nonisolated let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    func raise(at place: StorePlace) async throws(ControlError) -> UInt64 {
        let store = try await place.open(on: loop)
        defer { store.close() }
        return try await ask { store.gateways.raiseGeneration(reply: $0) }
    }
}
