import Foundation
import Models
import TestSupport
import Testing

@testable import Gateway

/// The lease without a Redis: events in, actions out.
@Suite struct LeaseMachineTests {
    private static let first = InstanceID(name: "gateway-1", epoch: 1)
    private static let second = InstanceID(name: "gateway-1", epoch: 2)

    /// One whose lease has begun at the run `a` of generation 1.
    private func enrolled() throws -> LeaseMachine {
        var machine = LeaseMachine(instance: try #require(Self.first))
        #expect(machine.redisIsUp(run: "a", generation: 1) == [.enrol])
        #expect(machine.enrolled(under: 1) == [.listen])
        #expect(machine.renewal(settles: true) == .renew(settles: true))
        #expect(renewed(&machine, latest: 0, settles: true) == [.compareAll])
        return machine
    }

    private func renewed(
        _ machine: inout LeaseMachine, latest: UInt64, generation: UInt64 = 1, settles: Bool = false, isHearing: Bool = true
    ) -> [LeaseMachine.Action] {
        machine.renewed(
            under: machine.epochNumber, latest: latest, generation: generation, settles: settles, isHearing: isHearing)
    }

    @Test func aLeaseThatHasNotBegunIsBegunAtEachInterval() throws {
        var machine = LeaseMachine(instance: try #require(Self.first))
        #expect(machine.renewal(settles: false) == .enrol)
        #expect(machine.redisIsUp(run: nil, generation: 1) == [.enrol])
        #expect(machine.enrolled(under: 1) == [.listen])
        // The answer to the second attempt.
        #expect(machine.enrolled(under: 1) == [.renew(settles: true)])
        #expect(machine.renewal(settles: false) == .renew(settles: false))
    }

    @Test func theSameRedisIsOnlyCompared() throws {
        var machine = try enrolled()
        #expect(machine.redisIsUp(run: "a", generation: 1) == [.renew(settles: true)])
        #expect(machine.epochNumber == 1)
    }

    @Test(arguments: ["b", nil]) func anotherRunIsToldAllRoutesAgain(_ run: String?) throws {
        var machine = try enrolled()
        #expect(
            machine.redisIsUp(run: run, generation: 1)
                == [.report(.redisIsAnother), .stopComparing, .listen, .renew(settles: true)])
        #expect(machine.epochNumber == 2 && machine.instance == Self.first)
        // What was asked under the former number is answered too late.
        #expect(
            machine.renewed(under: 1, latest: 9, generation: 1, settles: true, isHearing: true) == []
                && machine.graceIsOver(under: 1) == [])
        // Nor does it end the time that a batch of the present number has.
        #expect(renewed(&machine, latest: 5) == [.waitForBatches])
        #expect(machine.graceIsOver(under: 1) == [] && machine.graceIsOver(under: 2) == [.compareAfterLoss, .probe])
    }

    @Test func aRedisThatWasSetBackIsNoticedAtItsReturnAndAtTheRenewal() throws {
        var machine = try enrolled()
        let reports: [LeaseMachine.Action] = [.report(.redisWasSetBack(generation: 2)), .report(.redisIsAnother)]
        #expect(Array(machine.redisIsUp(run: "a", generation: 2).prefix(2)) == reports)
        #expect(
            renewed(&machine, latest: 4, generation: 3)
                == [.report(.redisWasSetBack(generation: 3)), .stopComparing, .compareAll])
        #expect(machine.epochNumber == 3)
        #expect(renewed(&machine, latest: 4, generation: 3) == [])
    }

    @Test func aLeaseThatIsGoneBeginsAgainUnderAnotherName() throws {
        var machine = try enrolled()
        let next = try #require(Self.second)
        #expect(machine.gone(under: 1, next: next) == [.report(.leaseIsGone), .stopComparing, .stopListening, .enrol])
        #expect(machine.instance == next && machine.former == Self.first && !machine.isEnrolled)
        // The second of two renewals that found it gone.
        #expect(machine.gone(under: 1, next: next) == [])
        #expect(machine.enrolled(under: 1) == [])
        #expect(machine.enrolled(under: 2) == [.listen])
    }

    @Test func whileDrainingALeaseThatIsGoneStaysGone() throws {
        var machine = try enrolled()
        machine.drains()
        #expect(machine.gone(under: 1, next: try #require(Self.second)) == [])
        #expect(machine.instance == Self.first && machine.isEnrolled)
    }

    @Test func refusedWritesAreNoticedOnceAndTheirReturnComparesAll() throws {
        var machine = try enrolled()
        #expect(machine.writesAreRefused(under: 1) && !machine.isWritable)
        #expect(machine.writesAreRefused(under: 1) == false)
        #expect(renewed(&machine, latest: 3) == [.writesAreTaken, .compareAll] && machine.isWritable)
    }

    @Test func nothingIsComparedWhileNothingIsHeard() throws {
        var machine = try enrolled()
        #expect(renewed(&machine, latest: 3, settles: true, isHearing: false) == [])
        // The subscription stands: it says so, and a renewal that settles follows.
        #expect(renewed(&machine, latest: 3, settles: true) == [.compareAll])
        #expect(renewed(&machine, latest: 3) == [])
    }

    @Test func whatNeverComesIsComparedAndEveryThirdSilenceIsListenedAgain() throws {
        var machine = try enrolled()
        var last: [LeaseMachine.Action] = []
        for number in 1...UInt64(LeaseMachine.silentLossesUntilNewEar) {
            #expect(renewed(&machine, latest: number) == [.waitForBatches])
            last = machine.graceIsOver(under: 1)
            #expect(last.first == .compareAfterLoss)
            if number < LeaseMachine.silentLossesUntilNewEar { #expect(last.last == .probe) }
        }
        #expect(last.last == .listen)
        // A batch that is heard ends the silence.
        #expect(machine.heard(batch: 4) == false)
        #expect(renewed(&machine, latest: 5) == [.waitForBatches])
        #expect(machine.graceIsOver(under: 1) == [.compareAfterLoss, .probe])
    }

    /// Two requests to begin the lease were under way, and the lease was lost between them: batches are numbered from 1 again.
    @Test func aSecondBeginningOfTheLeaseBeginsTheNumbersToo() throws {
        var machine = try enrolled()
        #expect(machine.heard(batch: 1) == false && machine.heard(batch: 2) == false)
        #expect(machine.enrolled(under: 1) == [.renew(settles: true)])
        #expect(renewed(&machine, latest: 0, settles: true) == [.compareAll])
        #expect(renewed(&machine, latest: 1) == [.waitForBatches])
    }

    @Test func aNumberThatIsNoneIsSkipped() throws {
        var machine = try enrolled()
        for _ in 0..<Int(UInt16.max) { _ = machine.redisIsUp(run: nil, generation: 1) }
        #expect(machine.epochNumber == 1)
    }

    /// The law "Loss is noticed": whatever was published for this instance is heard, or all sessions are compared after it.
    @Test func whatIsPublishedIsHeardOrCompared() throws {
        let seed = TestSeed.announced()
        for round in 0..<300 {
            var world = try LeaseWorld(seed: seed &+ UInt64(round))
            for _ in 0..<200 { try world.step() }
            try world.settle()
            #expect(world.machine.isEnrolled && world.isHearing, "TEST_SEED=\(seed), round \(round)")
            #expect(world.uncovered.isEmpty, "TEST_SEED=\(seed), round \(round): \(world.uncovered)")
        }
    }
}

/// A Redis that loses leases, runs and batches, and the machine on the other side of it.
private struct LeaseWorld {
    enum Request {
        case enrol(InstanceID, UInt16)
        case renew(InstanceID, UInt16, settles: Bool)
    }

    var random: SeededGenerator
    var machine: LeaseMachine
    var isUp = true
    var run = 1
    var generation: UInt64 = 1
    /// Who has a lease; nil: nobody.
    var held: InstanceID?
    var latest: UInt64 = 0
    /// What the subscription is to, and whether it stands.
    var channel: InstanceID?
    var isHearing = false
    var requests: [Request] = []
    var air: [UInt64] = []
    var graces: [UInt16] = []
    /// Published, and since then neither heard nor covered by a comparison.
    var uncovered: Set<UInt64> = []
    private var published: [UInt64: UInt64] = [:]
    private var serial: UInt64 = 0

    init(seed: UInt64) throws {
        random = SeededGenerator(seed: seed)
        machine = LeaseMachine(instance: try #require(InstanceID(name: "gateway-1", epoch: 1)))
        perform(machine.redisIsUp(run: "1", generation: 1))
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func perform(_ actions: [LeaseMachine.Action]) {
        for action in actions {
            switch action {
            case .enrol: if isUp { requests.append(.enrol(machine.instance, machine.epochNumber)) }
            case .renew(let settles): if isUp { requests.append(.renew(machine.instance, machine.epochNumber, settles: settles)) }
            case .listen: listen()
            case .stopListening:
                isHearing = false
                channel = nil
            case .waitForBatches: graces.append(machine.epochNumber)
            case .compareAll, .compareAfterLoss: uncovered = []
            case .probe, .stopComparing, .writesAreTaken, .report: break
            }
        }
    }

    private mutating func listen() {
        if channel != machine.instance { air = [] }
        channel = machine.instance
        isHearing = false
    }

    mutating func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<35: publish()
        case 35..<60: hear()
        case 60..<70: if isUp { perform([machine.renewal(settles: false)]) }
        case 70..<84: try answer()
        case 84..<90: endGrace()
        case 90..<93: subscribed()
        case 93..<95: held = nil
        case 95..<97: goDown()
        default: comeBack(isAnother: chance(50))
        }
    }

    private mutating func publish() {
        guard held == machine.instance else { return }
        latest += 1
        serial += 1
        uncovered.insert(serial)
        published[latest] = serial
        if isHearing, chance(80) { air.append(latest) }
    }

    private mutating func hear() {
        guard isHearing, !air.isEmpty else { return }
        let number = air.removeFirst()
        if let serial = published[number] { uncovered.remove(serial) }
        if machine.heard(batch: number) { uncovered = [] }
    }

    private mutating func answer() throws {
        guard isUp, !requests.isEmpty else { return }
        switch requests.removeFirst() {
        case .enrol(let instance, let number):
            if held != instance {
                held = instance
                latest = 0
                published = [:]
            }
            perform(machine.enrolled(under: number))
        case .renew(let instance, let number, let settles):
            guard held == instance else {
                let next = try #require(InstanceID(name: "gateway-1", epoch: random.next()))
                return perform(machine.gone(under: number, next: next))
            }
            perform(
                machine.renewed(
                    under: number, latest: latest, generation: generation, settles: settles, isHearing: isUp && isHearing))
        }
    }

    private mutating func endGrace() {
        guard !graces.isEmpty else { return }
        perform(machine.graceIsOver(under: graces.removeFirst()))
    }

    /// A subscription that was asked for stands.
    private mutating func subscribed() {
        guard isUp, channel == machine.instance, !isHearing else { return }
        isHearing = true
        perform([machine.renewal(settles: true)])
    }

    private mutating func goDown() {
        isUp = false
        isHearing = false
        air = []
        requests = []
    }

    private mutating func comeBack(isAnother: Bool) {
        guard !isUp else { return }
        isUp = true
        if isAnother { run += 1 }
        if chance(10) { generation += 1 }
        perform(machine.redisIsUp(run: "\(run)", generation: generation))
    }

    /// Nothing fails from here on.
    mutating func settle() throws {
        comeBack(isAnother: false)
        for _ in 0..<6 {
            perform([machine.renewal(settles: false)])
            while !requests.isEmpty { try answer() }
            subscribed()
            while !requests.isEmpty { try answer() }
            while !air.isEmpty, isHearing { hear() }
            while !graces.isEmpty { endGrace() }
        }
    }
}
