import CYAML

/// A node of a document that libyaml (yaml.h) has loaded; it is valid inside `withYAML` only.
struct YAMLNode {
    private let document: UnsafeMutablePointer<yaml_document_t>
    private let node: UnsafeMutablePointer<yaml_node_t>

    fileprivate init?(_ document: UnsafeMutablePointer<yaml_document_t>, _ node: UnsafeMutablePointer<yaml_node_t>?) {
        guard let node else { return nil }
        self.document = document
        self.node = node
    }

    /// Counted from 1.
    var line: Int { Int(node.pointee.start_mark.line) + 1 }

    /// What a scalar says; nil for a list or a map.
    var text: String? {
        guard node.pointee.type == YAML_SCALAR_NODE else { return nil }
        let scalar = node.pointee.data.scalar
        return String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
    }

    /// What a list holds; nil for anything else.
    var elements: [YAMLNode]? {
        guard node.pointee.type == YAML_SEQUENCE_NODE else { return nil }
        let items = node.pointee.data.sequence.items
        return UnsafeBufferPointer(start: items.start, count: items.top - items.start).compactMap(child)
    }

    /// What a map holds, in the order of the file; nil for anything else.
    var members: [(key: YAMLNode, value: YAMLNode)]? {
        guard node.pointee.type == YAML_MAPPING_NODE else { return nil }
        let pairs = node.pointee.data.mapping.pairs
        return UnsafeBufferPointer(start: pairs.start, count: pairs.top - pairs.start).compactMap { pair in
            guard let key = child(pair.key), let value = child(pair.value) else { return nil }
            return (key, value)
        }
    }

    private func child(_ index: Int32) -> YAMLNode? {
        YAMLNode(document, yaml_document_get_node(document, index))
    }
}

/// Loads the first document of a text and lends its root (nil if it is empty). Throws what libyaml says, with its line.
func withYAML(_ text: [UInt8], _ body: (YAMLNode?) -> Void) throws(PolicyComplaint) {
    var parser = yaml_parser_t()
    guard yaml_parser_initialize(&parser) == 1 else { throw PolicyComplaint(line: 1, text: "no memory") }
    defer { yaml_parser_delete(&parser) }
    var document = yaml_document_t()
    let loaded = text.withUnsafeBufferPointer { bytes in
        yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
        return yaml_parser_load(&parser, &document) == 1
    }
    guard loaded else {
        let problem = parser.problem.map { String(cString: $0) } ?? "not YAML"
        throw PolicyComplaint(line: Int(parser.problem_mark.line) + 1, text: problem)
    }
    defer { yaml_document_delete(&document) }
    withUnsafeMutablePointer(to: &document) { body(YAMLNode($0, yaml_document_get_root_node($0))) }
}

extension PolicyComplaint: Error {}
