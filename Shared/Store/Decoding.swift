internal import Redis

extension Result where Success == RedisValue, Failure == RedisError {
    /// The reply in its typed form. A reply of another form is a fault: the key does not hold what the call expects.
    func decoded<Value>(_ what: String, _ decode: (RedisValue) -> Value?) -> Result<Value, StoreError> {
        switch self {
        case .success(let value): decode(value).map { .success($0) } ?? .failure(.fault("unexpected reply to \(what)"))
        case .failure(let error): .failure(StoreError(error))
        }
    }

    /// For a call whose reply says nothing but that it was done.
    var done: Result<Void, StoreError> { map { _ in }.mapError(StoreError.init) }
}

extension RedisValue {
    /// A number that cannot be negative.
    var unsigned: UInt64? { integer.flatMap(UInt64.init(exactly:)) }
}
