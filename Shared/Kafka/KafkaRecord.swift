/// One header of a record: a name and bytes. A name may occur more than once.
public struct KafkaHeader: Equatable, Sendable {
    public var name: String
    /// Nil for a null value. An empty value is another thing.
    public var value: [UInt8]?

    public init(_ name: String, _ value: [UInt8]?) {
        self.name = name
        self.value = value
    }

    public init(_ name: String, _ value: String) {
        self.init(name, Array(value.utf8))
    }

    var size: Int { name.utf8.count &+ (value?.count ?? 0) }
}

/// One record as it was read, with the topic's full name (namespace included).
public struct KafkaRecord: Equatable, Sendable {
    public var topic: String
    public var partition: Int32
    public var offset: Int64
    public var key: [UInt8]?
    /// Empty if `isTombstone`.
    public var value: [UInt8]
    /// The value is null. An empty value is another thing.
    public var isTombstone = false
    public var headers: [KafkaHeader]
    /// Milliseconds since 1970, by the producer's or the broker's clock; -1 if the record has no time.
    public var timestamp: Int64

    public init(
        topic: String, partition: Int32 = 0, offset: Int64 = 0, key: [UInt8]? = nil, value: [UInt8],
        headers: [KafkaHeader] = [], timestamp: Int64 = -1
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
    }

    /// The first header of that name. Case counts, as in Kafka.
    public func header(_ name: String) -> [UInt8]? {
        for header in headers where header.name == name { return header.value }
        return nil
    }

    /// Bytes of the record, headers included. The limits count these.
    var size: Int {
        var size = value.count &+ (key?.count ?? 0)
        for header in headers { size &+= header.size }
        return size
    }
}

/// One record to be written. Its key chooses the partition as in the Java client (murmur2). Without a key the partition is random.
public struct OutgoingRecord: Equatable, Sendable {
    /// The full name, namespace included (`KafkaSettings.topic`).
    public var topic: String
    public var key: [UInt8]?
    /// Empty if `isTombstone`.
    public var value: [UInt8]
    /// The value is null. An empty value is another thing.
    public var isTombstone = false
    public var headers: [KafkaHeader]

    /// Bytes of the record, headers included. A broker's limit counts some 20 more for each record, and 10 for each header.
    public var size: Int {
        var size = value.count &+ (key?.count ?? 0)
        for header in headers { size &+= header.size }
        return size
    }

    public init(topic: String, key: [UInt8]? = nil, value: [UInt8], headers: [KafkaHeader] = []) {
        self.topic = topic
        self.key = key
        self.value = value
        self.headers = headers
    }
}

/// Where a group goes on reading one partition: the last offset handled, plus one.
struct PartitionOffset: Equatable, Sendable {
    var topic: String
    var partition: Int32
    var next: Int64
}
