import EventLoop
import Foundation
import Models
import ServiceRuntime
import Settings
import Store
import StoreTestSupport
import Testing

@testable import Gateway

/// An ear on a router in memory: no server, and no waiting but for the loop's turns.
private actor EarBench: LoopActor {
    nonisolated let loop: EventLoop
    private let router: MemoryRouter
    private let dependencies: Dependencies
    private let ear: Ear
    private(set) var heard: [String] = []
    private(set) var timesUp = 0

    init() {
        loop = EventLoop(name: "ear")
        loop.start()
        router = MemoryRouter(loop: loop)
        dependencies = Dependencies(log: Log(service: "gateway", instance: "g", level: .error), metrics: Metrics())
        ear = Ear(router: router, source: dependencies.source(.redis))
    }

    func start() {
        ear.onBatch = { self.heard.append(String(decoding: $0, as: UTF8.self)) }
        ear.onUp = { self.timesUp += 1 }
    }

    func stop() {
        ear.close()
        loop.stop()
    }

    /// Lets everything happen that is due.
    private func turn() async { await withCheckedContinuation { done in loop.timer(after: .milliseconds(1)) { done.resume() } } }

    func begin(_ instances: InstanceID...) { for instance in instances { router.begin(instance) } }

    func listen(to instance: InstanceID) async {
        ear.listen(to: instance)
        await turn()
    }

    /// Asks for another subscription while a batch is on its way: it arrives before that one stands. Answers whether the ear was
    /// up all the while.
    func listen(to instance: InstanceID, whilePublishing text: String, to former: InstanceID) async -> Bool {
        router.publish(Array(text.utf8), to: former) { _ in }
        ear.listen(to: instance)
        let wasUp = ear.isUp
        await turn()
        return wasUp && ear.isUp
    }

    func publish(_ text: String, to instance: InstanceID) async -> Int? {
        var receivers: Int?
        router.publish(Array(text.utf8), to: instance) { receivers = (try? $0.get())?.receivers }
        await turn()
        return receivers
    }

    func setAway(_ isAway: Bool) async {
        router.isAway = isAway
        await turn()
    }

    func probe() -> Int {
        ear.probe()
        return router.probes
    }

    func close() { ear.close() }

    var isUp: Bool { ear.isUp }
    var state: Dependencies.State? { dependencies.state(of: .redis) }
}

@Suite struct EarTests {
    private let one = InstanceID(name: "g", epoch: 1)!
    private let other = InstanceID(name: "g", epoch: 2)!

    @Test func hearsItsInstanceAndNoOther() async {
        let bench = EarBench()
        await bench.start()
        await bench.begin(one, other)
        #expect(await bench.isUp == false)
        await bench.listen(to: one)
        #expect(await bench.isUp)
        #expect(await bench.timesUp == 1)
        #expect(await bench.state == .up)
        #expect(await bench.publish("a\n", to: one) == 1)
        #expect(await bench.publish("b\n", to: other) == 0)
        #expect(await bench.heard == ["{\"v\":1,\"n\":1}\na\n"])
        #expect(await bench.probe() == 1)
        await bench.close()
        #expect(await bench.publish("c\n", to: one) == 0)
        #expect(await bench.heard.count == 1)
        await bench.stop()
    }

    /// No newcomer waits while one subscription takes the place of another.
    @Test func aStandingSubscriptionIsHeardUntilTheNewOneStands() async {
        let bench = EarBench()
        await bench.start()
        await bench.begin(one, other)
        await bench.listen(to: one)
        #expect(await bench.listen(to: other, whilePublishing: "between\n", to: one))
        #expect(await bench.heard.map { $0.hasSuffix("between\n") } == [true])
        #expect(await bench.timesUp == 2)
        #expect(await bench.publish("late\n", to: one) == 0)
        #expect(await bench.publish("new\n", to: other) == 1)
        #expect(await bench.heard.count == 2)
        await bench.stop()
    }

    @Test func anOutageIsToldAndTheLatestInstanceIsHeardAfterIt() async {
        let bench = EarBench()
        await bench.start()
        await bench.begin(one, other)
        await bench.setAway(true)
        await bench.listen(to: one)
        #expect(await bench.isUp == false)
        if case .down? = await bench.state {} else { Issue.record("\(String(describing: await bench.state))") }
        await bench.listen(to: other)
        await bench.setAway(false)
        #expect(await bench.isUp)
        #expect(await bench.timesUp == 1, "the first subscription was given up")
        #expect(await bench.state == .up)
        #expect(await bench.publish("x\n", to: one) == 0)
        #expect(await bench.publish("x\n", to: other) == 1)
        // A further outage is told each way.
        await bench.setAway(true)
        #expect(await bench.isUp == false)
        await bench.setAway(false)
        #expect(await bench.timesUp == 2)
        await bench.stop()
    }
}
