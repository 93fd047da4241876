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
        super.init(loop: loop, type: UV_SIGNAL)
        // Watched before the start: a child that ends at once is not missed. Every child's end wakes every watch.
        let signal = memory.assumingMemoryBound(to: uv_signal_t.self)
        uv_signal_init(loop.raw, signal)
        attach()
        uv_signal_start(signal, { signal, _ in LoopHandle.of(signal!.pointee.data, as: ChildProcess.self).look() }, SIGCHLD)
    }

    /// Starts a program. `onExit` is called once, when it has ended. Its standard input is empty, and of this process's other
    /// descriptors it inherits none.
    public static func start(
        loop: EventLoop, _ command: Command, standardOutput: Output = .inherited, standardError: Output = .inherited,
        onExit: @escaping (Exit) -> Void = { _ in }
    ) throws(SpawnError) -> ChildProcess {
        loop.assertCurrent()
        var streams = StandardStreams()
        // The child has its own copies by the time it runs.
        defer { streams.close() }
        try streams.open(loop, standardOutput, as: 1)
        try streams.open(loop, standardError, as: 2)
        let process = ChildProcess(loop: loop, onExit: onExit)
        let status = process.spawn(command, streams)
        guard status == 0 else {
            process.onExit = nil
            process.beginClose()
            throw SpawnError(description: "\(command.executable): \(String(cString: strerror(status)))")
        }
        streams.startReading()
        return process
    }

    private func spawn(_ command: Command, _ streams: StandardStreams) -> Int32 {
        var words = [command.executable] + command.arguments
        // posix_spawn cannot set this signal. setpriv of util-linux sets it and becomes the program.
        if command.endsWithParent { words = ["setpriv", "--pdeathsig", "TERM", "--"] + words }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = (command.environment ?? [:]).map { strdup("\($0.key)=\($0.value)") } + [nil]
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            for word in arguments + variables { free(word) }
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for (target, descriptor) in streams.descriptors { posix_spawn_file_actions_adddup2(&actions, descriptor, target) }
        // Not close-on-exec: Foundation lets its own children inherit, and watches for what they hold to be closed.
        carillon_spawn_close_from(&actions, 3)
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Self.spawnFlags)
        return command.environment == nil
            ? posix_spawnp(&pid, words[0], &actions, &attributes, &arguments, environ)
            : posix_spawnp(&pid, words[0], &actions, &attributes, &arguments, &variables)
    }

    /// POSIX_SPAWN_SETSIGDEF, POSIX_SPAWN_SETSIGMASK and POSIX_SPAWN_SETSID, whose macros are not all visible.
    private static let spawnFlags: Int16 = 0x04 | 0x08 | 0x80

    /// A child of this process has ended. Checks whether it is this one.
    private func look() {
        guard pid > 0, exit == nil else { return }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return }
        let signal = status & 0x7F
        ended(signal == 0 ? .status((status >> 8) & 0xFF) : .signal(signal))
    }

    private func ended(_ exit: Exit) {
        self.exit = exit
        let body = onExit
        onExit = nil
        beginClose()
        body?(exit)
    }

    /// Sends a signal to the process, or to it and all that it started; does nothing once it has ended.
    public func kill(_ signal: Int32, descendants: Bool = false) {
        loop.assertCurrent()
        // Until `look` has taken its status the id is still its own.
        guard exit == nil, !isClosing else { return }
        // It leads a session, so a process group, of its own.
        Glibc.kill(descendants ? -pid : pid, signal)
    }

    public override func loopStopped() {
        onExit = nil
        super.loopStopped()
    }
}

/// Where a child's standard output and error go, while it is being started.
private struct StandardStreams {
    /// The child's descriptor and ours that becomes it.
    private(set) var descriptors: [(target: Int32, source: Int32)] = []
    private var readers: [(reader: LineReader, descriptor: Int32)] = []

    mutating func open(_ loop: EventLoop, _ output: ChildProcess.Output, as target: Int32) throws(ChildProcess.SpawnError) {
        switch output {
        case .inherited: break
        case .discarded: try open("/dev/null", as: target)
        case .file(let path): try open(path, as: target)
        case .lines(let body):
            var ends: [uv_file] = [0, 0]
            let status = uv_pipe(&ends, Int32(UV_NONBLOCK_PIPE.rawValue), 0)
            guard status == 0 else { throw ChildProcess.SpawnError(description: String(cString: uv_strerror(status))) }
            descriptors.append((target, ends[1]))
            readers.append((LineReader(loop: loop, body: body), ends[0]))
        }
    }

    private mutating func open(_ path: String, as target: Int32) throws(ChildProcess.SpawnError) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ChildProcess.SpawnError(description: "\(path): \(String(cString: strerror(errno)))") }
        descriptors.append((target, descriptor))
    }

    mutating func startReading() {
        for (reader, descriptor) in readers { reader.start(descriptor) }
        readers = []
    }

    /// Closes our copies; and the readers of a child that was not started.
    mutating func close() {
        for (_, source) in descriptors { Glibc.close(source) }
        for (reader, descriptor) in readers {
            Glibc.close(descriptor)
            reader.close()
        }
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

    private var stream: UnsafeMutablePointer<uv_stream_t> { memory.assumingMemoryBound(to: uv_stream_t.self) }

    func close() { beginClose() }

    /// Takes ownership of the descriptor and reads it.
    func start(_ descriptor: Int32) {
        guard uv_pipe_open(memory.assumingMemoryBound(to: uv_pipe_t.self), descriptor) == 0 else {
            Glibc.close(descriptor)
            return beginClose()
        }
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
