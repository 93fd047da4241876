#if canImport(Glibc)
    import Glibc
#endif

/// A variable that cannot be used. `description` is one line that names the variable, what stood there (never for a
/// secret) and the form that was expected; printed as it is, it is the last thing a service says before it exits.
public struct SettingsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The environment variable the complaint is about.
    public let name: String
    public let description: String

    public init(name: String, _ description: String) {
        self.name = name
        self.description = description
    }
}

/// What is known of a setting without its type: enough for `--help` and for `deploy/env.md`.
public struct SettingDescription: Equatable, Sendable {
    public let name: String
    /// The form a value takes, in words: "duration (500ms, 30s, 15m, 7d) from 1s to 60s".
    public let form: String
    /// The value if the variable is unset; `nil`: there is none.
    public let defaultText: String?
    /// One line: what the setting is for.
    public let help: String
    /// A secret's value never appears in a complaint or a log line, and may be read from a file (`fileName`).
    public let secret: Bool
    /// Whether nothing starts without it.
    public let need: SettingNeed

    public init(
        name: String, form: String, defaultText: String?, help: String, secret: Bool, need: SettingNeed = .optional
    ) {
        self.name = name
        self.form = form
        self.defaultText = defaultText
        self.help = help
        self.secret = secret
        self.need = need
    }

    /// The variable that names a file with the secret in it, instead of the variable that holds it.
    public var fileName: String { name + "_FILE" }

    /// The same variable, for a program that does without it.
    public var optional: SettingDescription {
        SettingDescription(name: name, form: form, defaultText: defaultText, help: help, secret: secret)
    }
}

/// Whether a program starts without a variable.
public enum SettingNeed: Equatable, Sendable {
    case optional
    case required
    /// A program starts without it if the named variable is set.
    case requiredUnless(String)
}

/// One environment variable: its name, form, default and purpose, declared once and as a value.
public struct Setting<Value: Sendable>: Sendable {
    public let description: SettingDescription
    private let kind: SettingKind<Value>

    /// `defaultText` is written as an operator would write it, and read by the same parser.
    public init(
        _ name: String, _ kind: SettingKind<Value>, default defaultText: String? = nil, help: String,
        secret: Bool = false, need: SettingNeed = .optional
    ) {
        precondition(defaultText.map { kind.read($0) != nil } ?? true, "the default of \(name) is not \(kind.form)")
        self.kind = kind
        description = SettingDescription(
            name: name, form: kind.form, defaultText: defaultText, help: help, secret: secret, need: need)
    }

    public var name: String { description.name }

    /// - Parameter source: the variable that the text came by.
    fileprivate func read(_ text: String, from source: String) throws(SettingsError) -> Value {
        if let value = kind.read(text) { return value }
        let stood = description.secret ? "its value (not shown: a secret)" : "\"\(printable(text))\""
        throw SettingsError(name: source, "\(source): \(stood) is not a valid value, expected \(kind.form)")
    }
}

/// Where settings are read from: the environment of the process, or a dictionary in a test. A variable that is set to nothing
/// counts as unset, because compose files and shells make that of a missing one.
public struct Environment: Sendable {
    private let lookup: @Sendable (String) -> String?

    public init(_ values: [String: String]) {
        lookup = { values[$0] }
    }

    private init(lookup: @escaping @Sendable (String) -> String?) {
        self.lookup = lookup
    }

    /// The environment of this process. Nothing of ours changes it after the start, so reading it is safe on any thread.
    public static let process = Environment(lookup: { name in
        getenv(name).map { String(cString: $0) }
    })

    /// The value, or the default. Throws if what stands there is malformed, or if neither is there.
    public func value<Value>(_ setting: Setting<Value>) throws(SettingsError) -> Value {
        if let value = try optional(setting) { return value }
        throw SettingsError(
            name: setting.name,
            "\(setting.name): not set, and it has no default; expected \(setting.description.form) "
                + "(\(setting.description.help))")
    }

    /// The value, or the default, or `nil` where neither is there. Throws if what stands there is malformed. A secret may
    /// stand in a file that `<NAME>_FILE` names.
    public func optional<Value>(_ setting: Setting<Value>) throws(SettingsError) -> Value? {
        let text = lookup(setting.name) ?? ""
        if setting.description.secret, let secret = try secret(setting.description, besides: text) {
            return try setting.read(secret, from: setting.description.fileName)
        }
        if !text.isEmpty { return try setting.read(text, from: setting.name) }
        guard let defaultText = setting.description.defaultText else { return nil }
        return try setting.read(defaultText, from: setting.name)
    }

    /// What stands in the file of a secret; `nil` where no file is named.
    private func secret(_ setting: SettingDescription, besides text: String) throws(SettingsError) -> String? {
        guard let path = lookup(setting.fileName), !path.isEmpty else { return nil }
        guard text.isEmpty else {
            throw SettingsError(
                name: setting.fileName, "\(setting.name) and \(setting.fileName) are both set: unset one of the two")
        }
        do { return try SecretFile.read(path) } catch {
            throw SettingsError(name: setting.fileName, "\(setting.fileName): \"\(printable(path))\" \(error.reason)")
        }
    }
}

/// What one part of a service reads from the environment, with the declarations that `--help` and `deploy/env.md` list.
public protocol SettingsGroup: Sendable {
    static var declarations: [SettingDescription] { get }
    init(_ environment: Environment) throws(SettingsError)
}

/// A value as it may be shown on a terminal: no control character survives, and no more than 80 characters.
func printable(_ text: String) -> String {
    var shown = String.UnicodeScalarView()
    for scalar in text.unicodeScalars.prefix(80) {
        shown.append(scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? "?" : scalar)
    }
    return String(shown) + (text.unicodeScalars.count > 80 ? "…" : "")
}
