/// Why the cluster cannot be started; its description is what the terminal gets.
public struct ClusterError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
