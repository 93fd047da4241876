internal import EventLoop
internal import Models
public import Redis
internal import Synchronization

/// What one process has seen of its Redis, by which it knows an older state when one comes back (decision 0018): the
/// generation, how often leases were renewed, the last write of its own that was acknowledged, and the time.
///
/// Shared by all that one client is used for. A check, made for each connection before anything else is sent on it,
/// compares it with what Redis holds; no other command is needed.
public final class Witness: Sendable {
    /// The last delivery that Redis acknowledged. Redis keeps a beginning of what was written: if this one is there, so is
    /// all that came before it.
    struct Write {
        var person: PersonID
        var epoch: UInt64
        var offset: UInt64
    }

    private struct Memory {
        /// -1 before Redis has told one.
        var generation: Int64 = -1
        var beats: UInt64 = 0
        var write: Write?
        /// The last write was looked for on this connection, and is not there.
        var writeIsMissing = false
        var clock = SteadyClock()
    }

    private let memory = Mutex(Memory())

    public init() {}

    /// The generation of all epochs that are good now; 0 where none was ever raised.
    public var generation: UInt64 { memory.withLock { UInt64(clamping: $0.generation) } }

    /// What is asked on each connection: an older state raises the generation, whoever sees it first. The last write and the
    /// generation lie in two slots (decision 0029), so they are two questions, and the second is asked when the first is answered.
    public func check(_ keys: Keyspace) -> RedisCheck {
        let generation = RedisCheck(
            asking: { self.questionOfGeneration(keys) },
            verdict: { result in
                switch result {
                case .success(let value):
                    guard let parts = value.array, self.learn(parts[...]) else { return "Redis does not tell its generation" }
                    return nil
                case .failure(let error): return "Redis does not tell its generation: \(error)"
                }
            })
        return RedisCheck(
            asking: { self.questionOfWrite(keys) },
            verdict: { result in
                switch result {
                case .success(let value): self.compare(value)
                case .failure(let error): "Redis does not tell the last write: \(error)"
                }
            }, then: [generation])
    }

    // MARK: For the module

    func acknowledged(_ write: Write) { memory.withLock { $0.write = write } }

    /// What Redis's clock should say now; 0 if that is not known.
    func time(at now: UInt64) -> Int64 { memory.withLock { $0.clock.time(at: now) } }

    /// A reply of `deliver` or `append`: `count` values, and behind them the clock's time, if the script did not believe it.
    func heard(_ result: Result<RedisValue, RedisError>, count: Int, at now: UInt64) {
        guard case .success(let value) = result, let parts = value.array, parts.count > count, let told = parts[count].integer
        else { return }
        memory.withLock { $0.clock.told(told, at: now) }
    }

    /// Three arguments of `renew`: the generation, the beats, and the time that is believed.
    func write(at now: UInt64, to writer: inout RESPWriter) {
        let (generation, beats, time) = memory.withLock { ($0.generation, $0.beats, $0.clock.time(at: now)) }
        writer.argument(generation)
        writer.argument(Int64(clamping: beats))
        writer.argument(time)
    }

    /// Takes generation, beats, Redis's time and the time of the beat before. False if they are no such thing.
    func learn(_ parts: ArraySlice<RedisValue>) -> Bool {
        let numbers = parts.prefix(4).compactMap(\.integer)
        guard numbers.count == 4 else { return false }
        memory.withLock { memory in
            // Another generation says nothing about what was seen of the one before.
            if memory.generation != numbers[0] { memory.write = nil }
            memory.generation = numbers[0]
            memory.beats = UInt64(clamping: numbers[1])
            memory.clock.told(numbers[2], before: numbers[3], at: EventLoop.monotonicNanoseconds() / 1_000_000)
        }
        return true
    }

    /// The epoch and offset of the inbox of the last write; without one, of a key that is never there.
    private func questionOfWrite(_ keys: Keyspace) -> [String] {
        let write = memory.withLock { $0.write }
        let state = write.map { "inbox:" + String(decoding: keys.tag($0.person), as: UTF8.self) + ":state" }
        return ["HMGET", keys.text(state ?? "inbox:none"), "epoch", "offset"]
    }

    /// Takes what is stored of that inbox. A complaint if it is no such thing.
    private func compare(_ value: RedisValue) -> String? {
        guard let parts = value.array, parts.count == 2 else { return "Redis does not tell the last write" }
        let (epoch, offset) = (parts[0].unsigned ?? 0, parts[1].unsigned ?? 0)
        memory.withLock { memory in
            memory.writeIsMissing = memory.write.map { (epoch, offset) < ($0.epoch, $0.offset) } ?? false
        }
        return nil
    }

    private func questionOfGeneration(_ keys: Keyspace) -> [String] {
        let (generation, beats, isMissing) = memory.withLock { ($0.generation, $0.beats, $0.writeIsMissing) }
        return ["EVAL", Self.confirmSource, "1", keys.text("generation"), String(generation), String(beats), isMissing ? "1" : "0"]
    }

    /// KEYS: generation. ARGV: generation, beats, 1 if the last write is missing.
    static let confirmSource =
        Lua.clock + Lua.generation + """
            return confirm(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1', now)
            """
}

extension Gateways {
    /// Declares that Redis was set back to an older state: all epochs of before are of an earlier generation, and no cursor
    /// of theirs is recovered. Answers the new generation. For an operator; what services see themselves they raise.
    public func raiseGeneration(reply: @escaping (Result<UInt64, StoreError>) -> Void) {
        client.send(
            arguments: 4,
            { writer in
                writer.argument("HINCRBY" as StaticString)
                keys.write("generation", [], to: &writer)
                writer.argument("number" as StaticString)
                writer.argument(1)
            },
            { reply($0.decoded("HINCRBY generation", \.unsigned)) })
    }
}

extension Lua {
    /// `confirm(key, known, seen, isOlder, now)`: generation, beats, the time, and the time of the latest beat (0: none).
    ///
    /// Who knows this generation, or a later one, and has seen more than there is, raises it. Who knows an earlier one has
    /// nothing to compare: somebody has raised it before him.
    static let generation = """
        local function confirm(key, known, seen, isOlder, now)
          local stored = redis.call('HMGET', key, 'number', 'beats', 'at')
          local number, beats = tonumber(stored[1]) or 0, tonumber(stored[2]) or 0
          if number < known or (number == known and (beats < seen or isOlder)) then
            number = math.max(number, known) + 1
            redis.call('HSET', key, 'number', number)
          end
          return {number, beats, now, tonumber(stored[3]) or 0}
        end

        """

    /// `renewed(stream, key, epoch, generation, now)`: the epoch to go on with in place of one of an earlier generation. Its
    /// entries are written again under the new one, with their offsets, so that marks and positions stay right and no cursor
    /// of before is recovered. The first write is refused when memory is short.
    static let renewed = """
        local function renewed(stream, key, epoch, generation, now)
          local later = newEpoch(stream, math.max(now, tonumber(epoch) + 1))
          local start, chunk = epoch .. '-0', nil
          repeat
            chunk = redis.call('XRANGE', stream, start, epoch, 'COUNT', 64)
            for i = 1, #chunk do
              redis.call('XADD', stream, later .. string.match(chunk[i][1], '%-%d+$'), unpack(chunk[i][2]))
              start = '(' .. chunk[i][1]
            end
          until #chunk < 64
          redis.call('XTRIM', stream, 'MINID', later)
          redis.call('HSETNX', key, 'oldest', epoch)
          redis.call('HSET', key, 'epoch', later, 'generation', generation)
          return later
        end

        """
}
