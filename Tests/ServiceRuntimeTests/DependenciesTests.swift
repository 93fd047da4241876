import ServiceRuntime
import Testing

@Suite struct DependenciesTests {
    @Test func oneLineEachWayForAllConnections() {
        let lines = Lines()
        let metrics = Metrics()
        let dependencies = Dependencies(log: lines.log(), metrics: metrics, clock: { lines.now }, ticks: { lines.ticks })
        let client = dependencies.source(.redis)
        let subscriber = dependencies.source(.redis)
        client.up()
        #expect(dependencies.state(of: .redis) == .starting)
        subscriber.up()
        #expect(dependencies.state(of: .redis) == .up)
        client.down(.text("closed"))
        subscriber.down(.text("closed"))
        client.down(.text("refused"))
        #expect(dependencies.state(of: .redis) == .down(since: lines.now))
        #expect(String(decoding: metrics.render(), as: UTF8.self).contains("carillon_dependency_up{dependency=\"redis\"} 0\n"))
        // The clock steps an hour back meanwhile.
        lines.now -= 3_600_000
        lines.ticks += 10_200
        client.up()
        subscriber.up()
        let messages = lines.lines.compactMap { $0.split(separator: "message=").last.map(String.init) }
        #expect(
            messages == [
                "\"dependency is up\" dependency=redis\n", "\"dependency is down\" dependency=redis reason=closed\n",
                "\"dependency is up again\" dependency=redis away=10.200s\n",
            ])
        #expect(String(decoding: metrics.render(), as: UTF8.self).contains("carillon_dependency_up{dependency=\"redis\"} 1\n"))
    }

    @Test func awayFromTheStartIsOneLine() {
        let lines = Lines()
        let dependencies = Dependencies(log: lines.log(), metrics: Metrics(), clock: { lines.now }, ticks: { lines.ticks })
        let kafka = dependencies.source(.kafka)
        kafka.down(.text("refused"))
        kafka.down(.text("refused"))
        kafka.up()
        #expect(lines.lines.count == 2)
    }
}
