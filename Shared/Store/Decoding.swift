internal import Redis

extension Result where Success == RedisValue, Failure == RedisError {
    /// The reply in its typed form. One of another form is the call's fault: what is stored is not what was expected.
    func decoded<Value>(_ what: String, _ decode: (RedisValue) -> Value?) -> Result<Value, StoreError> {
        switch self {
        case .success(let value): decode(value).map { .success($0) } ?? .failure(.fault("unexpected reply to \(what)"))
        case .failure(let error): .failure(StoreError(error))
        }
    }

    /// Whether it was done, where the reply says no more.
    var done: Result<Void, StoreError> { map { _ in }.mapError(StoreError.init) }
}

extension RedisValue {
    /// A number that cannot be negative.
    var unsigned: UInt64? { integer.flatMap(UInt64.init(exactly:)) }
}
