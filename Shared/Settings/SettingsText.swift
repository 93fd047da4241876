/// The lists of settings as people read them.
public enum SettingsText {
    /// Aligned columns for `--help`: name, default (or that there must be a value), what it is for. Doubled declarations show
    /// once, sorted by name.
    public static func help(_ declarations: [SettingDescription]) -> String {
        let rows = unique(declarations).map {
            ($0.name, shownDefault($0), "\($0.help)\($0.secret ? " (secret)" : ""). \(capitalized($0.form))")
        }
        let nameWidth = rows.map { $0.0.count }.max() ?? 0
        let defaultWidth = min(rows.map { $0.1.count }.max() ?? 0, 26)
        return rows.map { name, defaultText, help in
            "  \(padded(name, nameWidth))  \(padded(defaultText, defaultWidth))  \(help).\n"
        }.joined()
    }

    /// `deploy/env.md`'s body: first what several services read, with which, then a table a service.
    public static func markdown(_ services: [(name: String, declarations: [SettingDescription])]) -> String {
        var readers: [String: [String]] = [:]
        var shared: [SettingDescription] = []
        for service in services {
            for declaration in unique(service.declarations) {
                readers[declaration.name, default: []].append(service.name)
                shared.append(declaration)
            }
        }
        let isShared = { (declaration: SettingDescription) in (readers[declaration.name]?.count ?? 0) > 1 }
        var text = "## Common\n\n| variable | default | form | what it is for | read by |\n|---|---|---|---|---|\n"
        for declaration in unique(shared.filter(isShared)) {
            let names = readers[declaration.name] ?? []
            let those = services.filter { $0.declarations.contains { $0.name == declaration.name && $0.need != .optional } }
            text += row(
                declaration, requiredBy: those.count == names.count ? [] : those.map(\.name),
                extra: names.count == services.count ? "all" : names.joined(separator: ", "))
        }
        for service in services {
            let own = unique(service.declarations).filter { !isShared($0) }
            guard !own.isEmpty else { continue }
            text += "\n## \(service.name)\n\n| variable | default | form | what it is for |\n|---|---|---|---|\n"
            for declaration in own { text += row(declaration, extra: nil) }
        }
        return text
    }

    /// For programs: a line a variable, with name, default, form, purpose, `secret` or nothing, and `required`, `unless` and a
    /// name, or nothing, between tabs.
    public static func lines(_ declarations: [SettingDescription]) -> String {
        unique(declarations).map { declaration in
            let need =
                switch declaration.need {
                case .optional: ""
                case .required: "required"
                case .requiredUnless(let other): "unless \(other)"
                }
            return [
                declaration.name, declaration.defaultText ?? "", declaration.form, declaration.help,
                declaration.secret ? "secret" : "", need,
            ].joined(separator: "\t") + "\n"
        }.joined()
    }

    /// Reads what `lines` wrote; a line of another form is passed over.
    public static func declarations(_ lines: String) -> [SettingDescription] {
        lines.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 6 else { return nil }
            let need: SettingNeed =
                switch parts[5] {
                case "": .optional
                case "required": .required
                default: .requiredUnless(String(parts[5].dropFirst("unless ".count)))
                }
            return SettingDescription(
                name: parts[0], form: parts[2], defaultText: parts[1].isEmpty ? nil : parts[1], help: parts[3],
                secret: parts[4] == "secret", need: need)
        }
    }

    /// - Parameter requiredBy: who does not start without it, where others do.
    private static func row(_ declaration: SettingDescription, requiredBy: [String] = [], extra: String?) -> String {
        let need = needed(declaration).map { requiredBy.isEmpty ? $0 : "\($0) by \(requiredBy.joined(separator: ", "))" }
        let defaultText = declaration.defaultText.map { "`\($0)`" } ?? need ?? "-"
        let help = declaration.help + (declaration.secret ? " (secret)" : "")
        let cells = ["`\(declaration.name)`", defaultText, declaration.form, help] + (extra.map { [$0] } ?? [])
        let escaped = cells.map { $0.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|") }
        return "| " + escaped.joined(separator: " | ") + " |\n"
    }

    /// Each once, secrets with the variable that names their file, sorted by name. Who needs one counts before who does not.
    private static func unique(_ declarations: [SettingDescription]) -> [SettingDescription] {
        var seen: Set<String> = []
        let needed = declarations.filter { $0.need != .optional } + declarations
        return needed.flatMap { $0.secret ? [$0, file(of: $0)] : [$0] }.filter { seen.insert($0.name).inserted }
            .sorted { $0.name < $1.name }
    }

    private static func file(of secret: SettingDescription) -> SettingDescription {
        SettingDescription(
            name: secret.fileName, form: SettingKind<String>.path.form, defaultText: nil,
            help: "File that holds \(secret.name), which is then not set; line breaks at its end do not count", secret: false)
    }

    private static func shownDefault(_ declaration: SettingDescription) -> String {
        declaration.defaultText ?? needed(declaration) ?? "(none)"
    }

    private static func needed(_ declaration: SettingDescription) -> String? {
        switch declaration.need {
        case .optional: nil
        case .required: "required"
        case .requiredUnless(let other): "required unless \(other)"
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func capitalized(_ text: String) -> String {
        text.prefix(1).uppercased() + text.dropFirst()
    }
}
