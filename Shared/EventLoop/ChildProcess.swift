internal import CUV
internal import Glibc

/// A program that runs beside this one. Loop thread only. Forgetting the object does not end the process.
///
/// It starts in a session of its own, so that a Ctrl-C at the terminal reaches only its parent, which then ends its
/// children in an order of its own.
public final class ChildProcess: LoopHandle {
    /// What to run.
    public struct Command: Sendable {
        /// A path, or a name that is looked up in `PATH`.
        public var executable: String
        public var arguments: [String]
        /// The whole environment; `nil`: this process's own.
        public var environment: [String: String]?
        /// The kernel sends the process SIGTERM when the thread that started it ends (SIGKILL of the parent included).
        /// A program that is not found is then no `SpawnError` but ends with status 127.
        public var endsWithParent: Bool

        public init(
            _ executable: String, _ arguments: [String] = [], environment: [String: String]? = nil, endsWithParent: Bool = true
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.endsWithParent = endsWithParent
        }
    }

    /// Where what it prints goes.
    public enum Output {
        case inherited
        case discarded
        /// Appended to this file, which is made if it is missing.
        case file(String)
        /// Each line without its end, as it comes; one longer than 64 KB comes in pieces. Lines may still come after `onExit`.
        case lines((String) -> Void)
    }

    public enum Exit: Equatable, Sendable {
        case status(Int32)
        case signal(Int32)
    }

    /// The program could not be started: not found, no descriptor, a log file that cannot be written.
    public struct SpawnError: Error, CustomStringConvertible {
        public let description: String
    }

    /// The process's id, also after it ended.
    public private(set) var pid: Int32 = 0
    /// How it ended; `nil` while it runs.
    public private(set) var exit: Exit?
    private var onExit: ((Exit) -> Void)?

    private init(loop: EventLoop, onExit: @escaping (Exit) -> Void) {
        self.onExit = onExit
        super.init(loop: loop, type: UV_PROCESS)
    }

    /// Starts a program. `onExit` is called once, when it has ended. Its standard input is empty.
    public static func start(
        loop: EventLoop, _ command: Command, standardOutput: Output = .inherited, standardError: Output = .inherited,
        onExit: @escaping (Exit) -> Void = { _ in }
    ) throws(SpawnError) -> ChildProcess {
        loop.assertCurrent()
        var stdio = [uv_stdio_container_t](repeating: uv_stdio_container_t(), count: 3)
        var readers: [LineReader] = []
        var descriptors: [Int32] = []
        // The child has its own copies by the time `uv_spawn` has returned.
        defer { for descriptor in descriptors { close(descriptor) } }
        for (index, output) in [(1, standardOutput), (2, standardError)] {
            switch output {
            case .discarded: break
            case .inherited:
                stdio[index].flags = UV_INHERIT_FD
                stdio[index].data.fd = Int32(index)
            case .file(let path):
                let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
                guard descriptor >= 0 else {
                    for reader in readers { reader.close() }
                    throw SpawnError(description: "\(path): \(String(cString: strerror(errno)))")
                }
                descriptors.append(descriptor)
                stdio[index].flags = UV_INHERIT_FD
                stdio[index].data.fd = descriptor
            case .lines(let body):
                let reader = LineReader(loop: loop, body: body)
                readers.append(reader)
                stdio[index].flags = uv_stdio_flags(UV_CREATE_PIPE.rawValue | UV_WRITABLE_PIPE.rawValue)
                stdio[index].data.stream = reader.stream
            }
        }
        let process = ChildProcess(loop: loop, onExit: onExit)
        let status = process.spawn(command, &stdio)
        // Even after a failed spawn the handle must be closed.
        process.attach()
        guard status == 0 else {
            process.onExit = nil
            process.beginClose()
            for reader in readers { reader.close() }
            throw SpawnError(description: "\(command.executable): \(String(cString: uv_strerror(status)))")
        }
        for reader in readers { reader.start() }
        return process
    }

    private func spawn(_ command: Command, _ stdio: inout [uv_stdio_container_t]) -> Int32 {
        var words = [command.executable] + command.arguments
        // uv_spawn has no word for it; util-linux's setpriv sets the signal and becomes the program.
        if command.endsWithParent { words = ["setpriv", "--pdeathsig", "TERM", "--"] + words }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var environment = command.environment.map { variables in
            variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        }
        defer {
            for word in arguments { free(word) }
            for variable in environment ?? [] { free(variable) }
        }
        var options = uv_process_options_t()
        options.flags = UV_PROCESS_DETACHED.rawValue
        options.exit_cb = { process, status, signal in
            LoopHandle.of(process!.pointee.data, as: ChildProcess.self)
                .ended(signal != 0 ? .signal(signal) : .status(Int32(truncatingIfNeeded: status)))
        }
        return arguments.withUnsafeMutableBufferPointer { arguments in
            stdio.withUnsafeMutableBufferPointer { stdio in
                options.file = UnsafePointer(arguments[0])
                options.args = arguments.baseAddress
                options.stdio_count = Int32(stdio.count)
                options.stdio = stdio.baseAddress
                let handle = memory.assumingMemoryBound(to: uv_process_t.self)
                let spawn = { (environment: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 in
                    options.env = environment
                    let status = uv_spawn(self.loop.raw, handle, &options)
                    if status == 0 { self.pid = handle.pointee.pid }
                    return status
                }
                guard environment != nil else { return spawn(nil) }
                return environment!.withUnsafeMutableBufferPointer { spawn($0.baseAddress) }
            }
        }
    }

    private func ended(_ exit: Exit) {
        self.exit = exit
        let body = onExit
        onExit = nil
        beginClose()
        body?(exit)
    }

    /// Sends a signal; does nothing once the process has ended.
    public func kill(_ signal: Int32) {
        loop.assertCurrent()
        guard exit == nil, !isClosing else { return }
        uv_process_kill(memory.assumingMemoryBound(to: uv_process_t.self), signal)
    }

    public override func loopStopped() {
        onExit = nil
        super.loopStopped()
    }
}

/// The end of a pipe that a child writes to, cut into lines.
private final class LineReader: LoopHandle {
    private static let longestLine = 65_536
    private let body: (String) -> Void
    private var unfinished: [UInt8] = []

    init(loop: EventLoop, body: @escaping (String) -> Void) {
        self.body = body
        super.init(loop: loop, type: UV_NAMED_PIPE)
        uv_pipe_init(loop.raw, memory.assumingMemoryBound(to: uv_pipe_t.self), 0)
        attach()
    }

    var stream: UnsafeMutablePointer<uv_stream_t> { memory.assumingMemoryBound(to: uv_stream_t.self) }

    func close() { beginClose() }

    func start() {
        uv_read_start(
            stream,
            { handle, _, buffer in
                let loop = LoopHandle.of(handle!.pointee.data, as: LineReader.self).loop
                buffer!.pointee.base = loop.receiveBuffer.baseAddress?.assumingMemoryBound(to: CChar.self)
                buffer!.pointee.len = loop.receiveBuffer.count
            },
            { stream, count, buffer in
                let me = LoopHandle.of(stream!.pointee.data, as: LineReader.self)
                if count > 0 {
                    me.received(UnsafeRawBufferPointer(start: buffer!.pointee.base, count: count))
                } else if count < 0 {
                    me.ended()
                }
            })
    }

    private func received(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                flush()
            } else {
                unfinished.append(byte)
                if unfinished.count >= Self.longestLine { flush() }
            }
        }
    }

    private func flush() {
        let line = String(decoding: unfinished, as: UTF8.self)
        unfinished.removeAll(keepingCapacity: true)
        body(line)
    }

    private func ended() {
        if !unfinished.isEmpty { flush() }
        beginClose()
    }
}
