internal import CRDKafka
internal import Synchronization

/// librdkafka's own log lines. They are counted and not printed, for an outage makes thousands.
struct ClientLog {
    var lines = 0
    var last = ""

    mutating func add(_ line: String) {
        lines &+= 1
        last = line
    }
}

/// What the C callbacks of one client use. They reach it by the client's opaque pointer.
final class ClientCallbacks: @unchecked Sendable {
    // @unchecked: `log` and `fault` are guarded, for librdkafka logs from threads of its own. The closures are set before the client
    // is made, and called only inside a poll, so on the thread that polls.
    let log = Mutex(ClientLog())
    /// Why the last connection failed; nil if the broker has answered since.
    let fault = Mutex<ConnectionFault?>(nil)
    var rebalance: ((rd_kafka_resp_err_t, UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?) -> Void)?
    var delivered: ((UnsafePointer<rd_kafka_message_t>) -> Void)?
    var failed: ((KafkaError) -> Void)?

    static func of(_ opaque: UnsafeMutableRawPointer?) -> ClientCallbacks? {
        // The client retains its callbacks until it is destroyed.
        opaque.map { Unmanaged<ClientCallbacks>.fromOpaque($0).takeUnretainedValue() }
    }
}

/// One `rd_kafka_t`. librdkafka is thread-safe. Each user of this says who may call it.
final class KafkaClient: @unchecked Sendable {
    // @unchecked: both are immutable, the pointer is good until `destroy`, which its owner calls last.
    let raw: OpaquePointer
    let callbacks: ClientCallbacks

    /// How many arenas the allocator has. Each client has some five threads, which allocate little. By default each thread has
    /// an arena: three pipelines then take more than 1 GB of addresses, and do not start under `ulimit -v` of 512 MB.
    private static let maximumArenas: Int32 = 2
    private static let limitArenas: Void = carillon_kafka_limit_arenas(maximumArenas)

    /// - Throws: the name of a property that librdkafka does not take. Its value is never told, for it may be a password.
    init(
        _ type: rd_kafka_type_t, _ properties: ClientProperties, _ callbacks: ClientCallbacks = ClientCallbacks()
    ) throws(KafkaError) {
        Self.limitArenas
        guard let configuration = rd_kafka_conf_new() else { throw KafkaError(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) }
        var message = [CChar](repeating: 0, count: 512)
        for (name, value) in properties.values {
            guard rd_kafka_conf_set(configuration, name, value, &message, message.count) == RD_KAFKA_CONF_OK else {
                rd_kafka_conf_destroy(configuration)
                throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, "the property \(name) or its value is not known to librdkafka")
            }
        }
        KafkaClient.setCallbacks(configuration, type)
        // Retained as long as the client lives; released in `destroy`.
        let opaque = Unmanaged.passRetained(callbacks)
        rd_kafka_conf_set_opaque(configuration, opaque.toOpaque())
        guard let raw = rd_kafka_new(type, configuration, &message, message.count) else {
            opaque.release()
            rd_kafka_conf_destroy(configuration)
            throw KafkaError(rd_kafka_last_error(), text(message))
        }
        self.raw = raw
        self.callbacks = callbacks
        if type == RD_KAFKA_CONSUMER { rd_kafka_poll_set_consumer(raw) }
    }

    private static func setCallbacks(_ configuration: OpaquePointer, _ type: rd_kafka_type_t) {
        rd_kafka_conf_set_log_cb(configuration) { client, _, facility, line in
            guard let client, let line, let callbacks = ClientCallbacks.of(rd_kafka_opaque(client)) else { return }
            let text = String(cString: line)
            callbacks.log.withLock { $0.add(text) }
            guard let facility, String(cString: facility) == "FAIL", let fault = ConnectionFault(logLine: text) else { return }
            callbacks.fault.withLock { $0 = fault }
        }
        rd_kafka_conf_set_error_cb(configuration) { _, code, reason, opaque in
            let error = KafkaError(rd_kafka_resp_err_t(code), reason.map { String(cString: $0) })
            ClientCallbacks.of(opaque)?.failed?(error)
        }
        if type == RD_KAFKA_CONSUMER {
            rd_kafka_conf_set_rebalance_cb(configuration) { _, code, partitions, opaque in
                ClientCallbacks.of(opaque)?.rebalance?(code, partitions)
            }
        } else {
            // Set even if nobody needs it: without one, the flush inside a commit polls in steps of 10 ms.
            rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
                guard let message else { return }
                ClientCallbacks.of(opaque)?.delivered?(message)
            }
        }
    }

    /// What was logged since the last call: how many lines, and the last of them.
    func takeLog() -> ClientLog {
        callbacks.log.withLock { log in
            defer { log = ClientLog() }
            return log
        }
    }

    /// The fatal error of this client, if there was one.
    var fatalCause: KafkaError? {
        var message = [CChar](repeating: 0, count: 512)
        let code = rd_kafka_fatal_error(raw, &message, message.count)
        return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(code, text(message))
    }

    /// Ends the client and its threads. What is queued in it is lost. The call blocks its thread. The client may not be used
    /// afterwards.
    func destroy() {
        rd_kafka_destroy(raw)
        Unmanaged.passUnretained(callbacks).release()
    }

    /// One request to any broker, to learn whether one answers. Blocks up to `timeout` ms.
    func probe(timeout: Int32) -> KafkaError? {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(raw, 0, nil, &metadata, timeout)
        if let metadata { rd_kafka_metadata_destroy(metadata) }
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else {
            callbacks.fault.withLock { $0 = nil }
            return nil
        }
        return failure(code)
    }

    /// Whether it is known why connections fail.
    var knowsFault: Bool { callbacks.fault.withLock { $0 != nil } }

    /// The error of a call, with its cause if that is known: why there is no connection, or which fatal error the client has
    /// met. After a fatal error every call answers `_FATAL`.
    func failure(_ code: rd_kafka_resp_err_t) -> KafkaError {
        let error = KafkaError(code)
        if code == RD_KAFKA_RESP_ERR__FATAL { return fatalCause ?? error }
        guard error.isOutage, let fault = callbacks.fault.withLock({ $0 }) else { return error }
        return KafkaError(code, fault.reason)
    }
}

private func text(_ message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

extension KafkaClient {
    convenience init(consumer properties: ClientProperties) throws(KafkaError) {
        try self.init(RD_KAFKA_CONSUMER, properties)
    }
}
