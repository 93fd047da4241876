import Foundation
import Models
import Store
import TestSupport
import Testing

/// What `Router` promises, held by each of its implementations.
@Suite(.blocking) struct RouterTests {
    let one = InstanceID(name: "gateway-1", epoch: 1)!
    let other = InstanceID(name: "gateway-1", epoch: 2)!

    private func withBench(_ kind: RouterKind, _ test: (RouterBench) async throws -> Void) async throws {
        let bench = try await RouterBench(kind)
        let result: Result<Void, any Error>
        do { result = .success(try await test(bench)) } catch { result = .failure(error) }
        await bench.stop()
        try result.get()
    }

    @Test(arguments: RouterKind.allCases)
    func eachInstanceIsNumberedFromOne(_ kind: RouterKind) async throws {
        try await withBench(kind) { bench in
            try await bench.begin(one)
            try await bench.begin(other)
            #expect(try await bench.latest(of: one) == 0)
            for number in 1...3 as ClosedRange<UInt64> {
                #expect(try await bench.publish("x\n", to: one) == Published(sequence: number, receivers: 0))
            }
            #expect(try await bench.publish("x\n", to: other) == Published(sequence: 1, receivers: 0))
            #expect(try await bench.latest(of: one) == 3)
            #expect(try await bench.latest(of: other) == 1)
        }
    }

    /// Before its lease and after it.
    @Test(arguments: RouterKind.allCases)
    func anInstanceWithoutALeaseHearsNothingAndGetsNoNumbers(_ kind: RouterKind) async throws {
        try await withBench(kind) { bench in
            let ear = try await bench.listen(to: one)
            #expect(try await bench.comes { $0.isUp(ear) })
            #expect(try await bench.publish("early\n", to: one) == Published(sequence: 0, receivers: 0))
            #expect(try await bench.latest(of: one) == nil)
            try await bench.begin(one)
            #expect(try await bench.publish("first\n", to: one) == Published(sequence: 1, receivers: 1))
            try await bench.end(one)
            #expect(try await bench.publish("late\n", to: one) == Published(sequence: 0, receivers: 0))
            #expect(try await bench.latest(of: one) == nil)
            // A lease of the same name counts for itself.
            try await bench.begin(one)
            #expect(try await bench.publish("again\n", to: one) == Published(sequence: 1, receivers: 1))
            #expect(try await bench.comes { $0.heard[ear].count == 2 })
            #expect(await bench.heard[ear].map { $0.split(separator: "\n")[1] } == ["first", "again"])
        }
    }

    @Test(arguments: RouterKind.allCases)
    func whatIsPublishedIsHeardAsItWasAndInOrder(_ kind: RouterKind) async throws {
        try await withBench(kind) { bench in
            try await bench.begin(one)
            try await bench.begin(other)
            let ear = try await bench.listen(to: one)
            let neighbour = try await bench.listen(to: other)
            #expect(try await bench.comes { $0.isUp(ear) && $0.isUp(neighbour) })
            #expect(await bench.states[ear] == [.up])
            let texts = (1...200).map { "[[\"1.2\",\"5-\($0)\",7]]\n{\"text\":\"\u{0}ä\\n\($0)\"}\n" }
            let (replies, early) = try await bench.publish(texts, to: one)
            #expect(early == 0, "a reply came within its call")
            #expect(replies == (1...200).map { Published(sequence: $0, receivers: 1) })
            #expect(try await bench.comes { $0.heard[ear].count == 200 })
            let expected = texts.enumerated().map { String(decoding: GatewayMessage.head(sequence: UInt64($0 + 1)), as: UTF8.self) + $1 }
            #expect(await bench.heard[ear] == expected)
            #expect(await bench.heard[neighbour].isEmpty)
        }
    }

    /// The law "Loss is noticed, and idleness is free", as far as it is the router's.
    @Test(arguments: RouterKind.allCases)
    func whatNobodyHeardShowsInTheNumbers(_ kind: RouterKind) async throws {
        try await withBench(kind) { bench in
            try await bench.begin(one)
            #expect(try await bench.publish("lost\n", to: one).receivers == 0)
            let ear = try await bench.listen(to: one)
            #expect(try await bench.comes { $0.isUp(ear) })
            // The first batch that is heard shows it.
            #expect(try await bench.publish("heard\n", to: one) == Published(sequence: 2, receivers: 1))
            #expect(try await bench.comes { $0.heard[ear].count == 1 })
            var tracker = SequenceTracker()
            for number in try await bench.numbers(ear) {
                let hasHole = tracker.batch(number)
                #expect(hasHole)
            }
            // Without a further batch, the renewal shows it.
            await bench.close(ear)
            #expect(try await nobodyHears(bench))
            let latest = try #require(try await bench.latest(of: one))
            let isMissing = tracker.renewed(latest: latest)
            let finding = tracker.check()
            #expect(isMissing && finding == .lost)
            #expect(await bench.heard[ear].count == 1, "what is closed hears nothing")
        }
    }

    /// A server learns by and by that somebody has gone.
    private func nobodyHears(_ bench: RouterBench) async throws -> Bool {
        for _ in 0..<2_000 {
            if try await bench.publish("x\n", to: one).receivers == 0 { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    /// As while one subscription takes the place of another.
    @Test(arguments: RouterKind.allCases)
    func twoSubscriptionsHearTheSame(_ kind: RouterKind) async throws {
        try await withBench(kind) { bench in
            try await bench.begin(one)
            let ears = [try await bench.listen(to: one), try await bench.listen(to: one)]
            #expect(try await bench.comes { bench in ears.allSatisfy { bench.isUp($0) } })
            #expect(try await bench.publish("x\n", to: one) == Published(sequence: 1, receivers: 2))
            #expect(try await bench.comes { bench in ears.allSatisfy { bench.heard[$0].count == 1 } })
            await bench.close(ears[0])
            await bench.probe(ears[1])
            var published = Published(sequence: 0, receivers: 2)
            while published.receivers == 2 {
                published = try await bench.publish("y\n", to: one)
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(published.receivers == 1)
            let last = published.sequence
            #expect(try await bench.comes { try $0.numbers(ears[1]) == Array(1...last) })
            #expect(await bench.heard[ears[0]].count == 1)
        }
    }

    @Test(arguments: RouterKind.allCases)
    func anOutageIsSaidAndSurvived(_ kind: RouterKind) async throws {
        try await withBench(kind) { bench in
            try await bench.begin(one)
            let ear = try await bench.listen(to: one)
            #expect(try await bench.comes { $0.isUp(ear) })
            #expect(try await bench.publish("before\n", to: one).receivers == 1)
            #expect(try await bench.comes { $0.heard[ear].count == 1 })
            await bench.goAway()
            #expect(try await bench.comes { !$0.isUp(ear) })
            #expect(try await bench.comes { $0.states[ear].count == 2 })
            if case .down? = await bench.states[ear].last {} else { Issue.record("\(await bench.states[ear])") }
            let error = await #expect(throws: StoreError.self) { try await bench.publish("meanwhile\n", to: one) }
            if case .outage? = error {} else { Issue.record("\(String(describing: error))") }
            try await bench.comeBack()
            #expect(try await bench.comes { $0.isUp(ear) })
            #expect(await bench.states[ear].count == 3)
            #expect(await bench.states[ear].last == .up)
            // The number of before is kept, and what was not published has none.
            var published: Published?
            while published == nil {
                published = try? await bench.publish("after\n", to: one)
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(published == Published(sequence: 2, receivers: 1))
            #expect(try await bench.comes { try $0.numbers(ear) == [1, 2] })
        }
    }
}
