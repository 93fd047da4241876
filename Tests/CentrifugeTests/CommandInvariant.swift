// What must hold of the protocol's decoder for any bytes at all. Tests/Fuzz compiles this file too, beside the decoder's.
import Centrifuge

/// What is wrong with what the decoder makes of `input`, or nil: a message means what its lines mean one by one.
func faultOfCommands(_ input: [UInt8]) -> String? {
    let whole = decoded(input)
    let lines = input.split(separator: 0x0A).map { Array($0) }
    let filled = lines.filter { !$0.allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 } }
    var parts: [Command]? = filled.isEmpty ? nil : []
    for line in filled {
        if let commands = decoded(line) {
            guard commands.count == 1 else { return "one line, \(commands.count) commands" }
            parts?.append(contentsOf: commands)
        } else {
            parts = nil
            break
        }
    }
    if parts != whole { return "its lines one by one mean something else" }
    if decoded(input + [0x0A]) != whole || decoded([0x0A] + input) != whole { return "an empty line has a meaning" }
    return nil
}

private func decoded(_ bytes: [UInt8]) -> [Command]? { try? Codec.json.decode(bytes.span) }
