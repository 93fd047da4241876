import CRDKafka
import TestSupport
import Testing

@testable import Kafka

/// A client that has met a fatal error answers `_FATAL` to everything. What is told instead is what it met.
@Suite(.blocking) struct FatalErrorTests {
    private static let cause = RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER

    private func isCause(_ error: KafkaError?) -> Bool {
        error?.name == "OUT_OF_ORDER_SEQUENCE_NUMBER" && error?.reason.contains("for a test") == true
    }

    @Test func aTransactionTellsTheCauseAndTheNextOneHasANewProducer() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, [OutgoingRecord(topic: "in", value: bytes("one"))])
        let bench = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await bench.until { !$0.seen.isEmpty })
        let membership = try #require(await bench.ask { $0.pipeline.consumer.membership })
        let consumer = await bench.ask { $0.pipeline.consumer.client }
        let producer = TransactionalProducer(settings: settings, transactionalID: "t", consumer: consumer)
        #expect(producer.prepare(Abandonment()) == nil)
        let client = try #require(producer.client)
        rd_kafka_test_fatal_error(client.raw, Self.cause, "for a test")
        let offset = PartitionOffset(topic: "in", partition: 0, next: 1)
        let content = TransactionContent(
            number: 1, outputs: [OutgoingRecord(topic: "out", value: bytes("one"))], offsets: [offset],
            membership: membership)
        guard case .failed(let error) = producer.run(content, Abandonment()) else {
            Issue.record("a client of no more use has written")
            return
        }
        #expect(isCause(error), "\(error)")
        #expect(producer.client !== client)
        #expect(producer.run(content, Abandonment()) == .committed)
        producer.close()
        await stop(bench)
    }

    @Test func aRecordThatIsNotTakenTellsTheCause() throws {
        let broker = try EmbeddedBroker()
        let client = try KafkaClient(RD_KAFKA_PRODUCER, .idempotent(.mock(broker), deliveryTimeout: 1_000))
        rd_kafka_test_fatal_error(client.raw, Self.cause, "for a test")
        let writer = RecordWriter(client)
        let code = writer.write(OutgoingRecord(topic: "out", value: bytes("one")), tag: 1)
        #expect(code == RD_KAFKA_RESP_ERR__FATAL)
        #expect(isCause(client.failure(code)))
        writer.close()
        client.destroy()
    }
}
