import Carillonctl
import Foundation
import Synchronization

/// What a command wrote.
final class Written: Sendable {
    private let texts = Mutex<(out: String, error: String)>(("", ""))

    var out: String { texts.withLock { $0.out } }
    var error: String { texts.withLock { $0.error } }
    var lines: [String] { out.split(separator: "\n").map(String.init) }

    var terminal: Terminal {
        Terminal(
            write: { text in self.texts.withLock { $0.out += text } },
            complain: { text in self.texts.withLock { $0.error += text } })
    }
}

/// Runs the tool with this environment and no cluster file.
func carillonctl(_ words: String..., environment: [String: String] = [:]) async -> (status: Int32, written: Written) {
    let written = Written()
    let status = await Carillonctl.run(words, environment: environment, folder: "/proc", terminal: written.terminal)
    return (status, written)
}

let secret = "01234567890123456789012345678901"
