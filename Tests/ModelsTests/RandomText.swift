import Models
import TestSupport

extension SeededGenerator {
    /// One time in so many.
    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &self) == 0 }

    mutating func text(_ length: Int) -> String {
        let alphabet = Array("abcXYZ019 /:.-_\"\\\n\t\u{1}é漢🎈\u{2028}")
        return String((0..<length).map { _ in alphabet.randomElement(using: &self)! })
    }

    mutating func identifier() -> String {
        let alphabet = Array("abcdefghijXYZ019/:.-_é漢🎈\"\\ ")
        return String((0..<Int.random(in: 1...12, using: &self)).map { _ in alphabet.randomElement(using: &self)! })
    }

    /// Some JSON, with space between its tokens.
    mutating func json(_ depth: Int) -> String {
        let space = chance(4) ? "\n " : ""
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &self) {
        case 0: return space + "null"
        case 1: return "true" + space
        case 2: return ["0", "-1", "12.5e-3", "18446744073709551616", "1E+2"].randomElement(using: &self)!
        case 3, 4: return quoted(text(Int.random(in: 0...8, using: &self)))
        case 5:
            let elements = (0..<Int.random(in: 0...3, using: &self)).map { _ in json(depth - 1) }
            return "[" + space + elements.joined(separator: space + ",") + space + "]"
        default:
            let members = (0..<Int.random(in: 0...3, using: &self)).map { _ in
                quoted(text(3)) + space + ":" + space + json(depth - 1)
            }
            return "{" + space + members.joined(separator: ",") + space + "}"
        }
    }
}

func quoted(_ text: String) -> String {
    var writer = JSONWriter()
    writer.string(text)
    return String(decoding: writer.take(), as: UTF8.self)
}

/// Runs a property with the run's seed.
func property(_ rounds: Int, _ name: String = #function, _ body: (inout SeededGenerator) throws -> Void) rethrows {
    var random = SeededGenerator(seed: TestSeed.announced(name))
    for _ in 0..<rounds { try body(&random) }
}
