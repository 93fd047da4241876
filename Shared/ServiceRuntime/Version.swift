/// The version of the whole suite: its services are built and released together.
public enum Version {
    public static let text: StaticString = "0.1.0"
}
