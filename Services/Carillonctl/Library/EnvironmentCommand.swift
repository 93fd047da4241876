internal import Foundation
internal import Settings

let environmentCommand = Command(
    "env", summary: "Write deploy/env.md: every variable that any part of the suite reads",
    details: """
        Asks each binary beside this one for its declarations (their --settings) and prints the document:
        carillonctl env > deploy/env.md. With --check it compares a file instead and says whether it is up to date.
        """,
    options: [
        Option("binaries", "FOLDER", "where the binaries are, if not beside this one"),
        Option("check", "FILE", "print nothing; 1 if FILE differs"),
    ]
) { invocation in
    let folder = invocation.options["binaries"] ?? executable().deletingLastPathComponent().path
    let document = try environmentDocument(folder: folder)
    guard let file = invocation.options["check"] else {
        invocation.terminal.write(document)
        return Status.done
    }
    guard let text = try? String(contentsOf: URL(filePath: file), encoding: .utf8) else {
        throw ControlError("\(printable(file)) cannot be read")
    }
    if text == document { return Status.done }
    throw ControlError("\(printable(file)) does not say what the binaries read", remedy: "carillonctl env > \(printable(file))")
}

/// The suite's executables, in the order of the document.
let binaries = [
    "gateway", "notification-service", "fanout-worker", "presence-service", "push-service", "carillonctl", "carillon-local",
]

/// `deploy/env.md`, from what the binaries in `folder` declare.
func environmentDocument(folder: String) throws(ControlError) -> String {
    var services: [(name: String, declarations: [SettingDescription])] = []
    for name in binaries {
        services.append((name, SettingsText.declarations(try output(of: folder + "/" + name, "--settings"))))
    }
    return """
        # Environment

        Every variable that a part of Carillon reads. Written by `carillonctl env` from the declarations in the code; a test
        holds the two equal. A variable that is set to nothing counts as unset. An invalid value stops the start with one line
        and status 78. Durations are written `500ms`, `30s`, `15m`, `12h`, `7d`, sizes `512B`, `64KB`, `1MB`. `librdkafka` properties may hold
        SASL and TLS settings.


        """ + SettingsText.markdown(services)
}

/// This very program, also where it was found through PATH.
private func executable() -> URL { URL(filePath: "/proc/self/exe").resolvingSymlinksInPath() }

private func output(of path: String, _ argument: String) throws(ControlError) -> String {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = [argument]
    let pipe = Pipe()
    process.standardOutput = pipe
    do { try process.run() } catch {
        throw ControlError("\(path) cannot be run", remedy: "build all products first: swift build")
    }
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw ControlError("\(path) \(argument) ended with \(process.terminationStatus)") }
    return String(decoding: data, as: UTF8.self)
}
