extension CloudEvent {
    /// The key that orders the event's record: its `partitionkey`, else the person of a single recipient, else the audience's
    /// id, else the event's own id. Every way into Kafka (REST, the operator's tool) uses this key.
    public func recordKey(for audience: Audience) -> String {
        if let partitionKey, !partitionKey.isEmpty { return partitionKey }
        if case .user(let person) = audience { return person.text }
        return audience.listID ?? id
    }
}
