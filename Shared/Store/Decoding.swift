internal import Redis

extension Result where Success == RedisValue, Failure == RedisError {
    /// The reply in its typed form, or `unexpectedReply` if it has another.
    func decoded<Value>(_ what: String, _ decode: (RedisValue) -> Value?) -> Result<Value, RedisError> {
        switch self {
        case .success(let value): decode(value).map { .success($0) } ?? .failure(.unexpectedReply(what))
        case .failure(let error): .failure(error)
        }
    }
}

extension RedisValue {
    /// A number that cannot be negative.
    var unsigned: UInt64? { integer.flatMap(UInt64.init(exactly:)) }
}
