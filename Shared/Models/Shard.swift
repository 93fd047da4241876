/// A person's shard: CRC16 of the UTF-8 (XMODEM: polynomial 0x1021, start 0, as Redis Cluster's), mod the number of shards.
public func shard(of person: PersonID, shards: Int) -> Int {
    precondition(shards > 0)
    return Int(crc16(person.text.utf8Span.span)) % shards
}

/// CRC-16/XMODEM.
public func crc16(_ bytes: Span<UInt8>) -> UInt16 {
    var crc: UInt16 = 0
    for index in bytes.indices {
        crc = crc << 8 ^ crcTable[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ bytes[index])]
    }
    return crc
}

private let crcTable: [UInt16] = (0..<256).map { index in
    var value = UInt16(index) << 8
    for _ in 0..<8 { value = value & 0x8000 != 0 ? value << 1 ^ 0x1021 : value << 1 }
    return value
}
