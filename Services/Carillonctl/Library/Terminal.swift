internal import Foundation

/// Where a command writes: what was asked for to standard output, all else to standard error.
public struct Terminal: Sendable {
    let write: @Sendable (String) -> Void
    let complain: @Sendable (String) -> Void

    public init(write: @escaping @Sendable (String) -> Void, complain: @escaping @Sendable (String) -> Void) {
        self.write = write
        self.complain = complain
    }

    /// The process's own. Nothing is held back, so that a pipe sees each line as it comes.
    public static let process = Terminal(
        write: { FileHandle.standardOutput.write(Data($0.utf8)) },
        complain: { FileHandle.standardError.write(Data($0.utf8)) })

    func line(_ text: String) { write(text + "\n") }
    func note(_ text: String) { complain("carillonctl: " + text + "\n") }
}

/// Text from a record or a notification, with what could steer a terminal replaced.
func printable(_ text: some StringProtocol) -> String {
    var shown = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
        shown.append(isControl ? "\u{fffd}" : scalar)
    }
    return String(shown)
}

func printable(_ bytes: [UInt8]) -> String { printable(String(decoding: bytes, as: UTF8.self)) }
