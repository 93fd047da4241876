import Models

// Replies and pushes in Protobuf.
extension ProtobufWriter {
    mutating func reply(_ reply: Reply, to id: UInt64) {
        delimited { writer in
            writer.field(1, id)
            switch reply {
            case .error(let error):
                writer.message(2) {
                    $0.field(1, UInt64(error.code))
                    $0.field(2, error.message)
                    $0.field(3, error.isTemporary)
                }
            case .connect(let result): writer.connected(result)
            case .subscribe(let result): writer.message(6) { $0.subscription(result, withCursors: false) }
            case .unsubscribe: writer.message(7) { _ in }
            case .presence(let watchers):
                writer.message(9) { result in for watcher in watchers { result.entry(of: 1, watcher) } }
            case .presenceStats(let clients, let people):
                writer.message(10) {
                    $0.field(1, UInt64(clamping: clients))
                    $0.field(2, UInt64(clamping: people))
                }
            case .history(let position, let entries):
                writer.message(11) { result in
                    for entry in entries { result.publication(1, entry, epoch: nil) }
                    result.field(2, String(position.epoch))
                    result.field(3, position.offset)
                }
            case .rpc(let data): writer.message(13) { $0.field(1, data) }
            case .refresh(let result):
                writer.message(14) { $0.session(client: result.client, version: result.version, ttl: result.ttl) }
            }
        }
    }

    private mutating func connected(_ result: ConnectResult) {
        message(5) { connect in
            connect.session(client: result.client, version: result.version, ttl: result.ttl)
            connect.field(5, result.data)
            connect.message(6) { entry in
                entry.field(1, "inbox")
                entry.message(2) { $0.subscription(result.inbox, withCursors: true) }
            }
            connect.field(7, UInt64(clamping: result.ping))
            connect.field(8, true)
        }
    }

    private mutating func session(client: String, version: String, ttl: Int64) {
        field(1, client)
        field(2, version)
        field(3, true)
        field(4, UInt64(UInt32(clamping: ttl)))
    }

    private mutating func subscription(_ result: SubscribeResult, withCursors: Bool) {
        field(3, true)
        field(6, String(result.position.epoch))
        for entry in result.publications { publication(7, entry, epoch: withCursors ? result.position.epoch : nil) }
        field(8, result.recovered)
        field(9, result.position.offset)
        field(10, true)
        field(12, result.wasRecovering)
    }

    /// - Parameter epoch: of the cursor; nil: without one.
    private mutating func publication(_ number: UInt64, _ entry: StoredPublication, epoch: UInt64?) {
        message(number) { publication in
            publication.field(4, entry.data)
            publication.field(6, entry.offset)
            guard let epoch else { return }
            publication.message(7) {
                $0.field(1, "cursor")
                $0.field(2, Cursor(StreamPosition(epoch: epoch, offset: entry.offset)).description)
            }
        }
    }

    private mutating func entry(of number: UInt64, _ watcher: Reply.Watching) {
        message(number) { entry in
            entry.field(1, watcher.connection)
            entry.info(2, watcher.info[...])
        }
    }

    /// A `ClientInfo`, out of its JSON.
    private mutating func info(_ number: UInt64, _ json: ArraySlice<UInt8>) {
        let info = ClientInfo(json: json.span)
        message(number) {
            $0.field(1, info.user)
            $0.field(2, info.client)
            if let more = info.connectionInfo { $0.field(3, more) }
        }
    }

    mutating func push(_ push: Push) {
        delimited { $0.message(4) { $0.content(of: push) } }
    }

    private mutating func content(of push: Push) {
        switch push {
        case .message(let data): message(8) { $0.field(1, data) }
        case .inbox(let position):
            field(2, "inbox")
            message(9) {
                $0.field(1, true)
                $0.field(4, String(position.epoch))
                $0.field(5, position.offset)
                $0.field(6, true)
            }
        case .post(let channel, let offset, let notification):
            field(2, channel.subscribedName)
            message(4) {
                $0.field(4, notification)
                $0.field(6, offset)
            }
        case .join(let channel, let info):
            field(2, channel.subscribedName)
            message(5) { $0.info(1, info) }
        case .leave(let channel, let info):
            field(2, channel.subscribedName)
            message(6) { $0.info(1, info) }
        case .unsubscribe(let channel, let why):
            field(2, channel.subscribedName)
            message(7) {
                $0.field(2, UInt64(clamping: why.code))
                $0.field(3, why.reason)
            }
        }
    }
}

extension ClientInfo {
    /// What `json` has written. Of anything else it takes what it can: what comes from another version must not cost the rest.
    init(json bytes: Span<UInt8>) {
        self.init(user: "", client: "", connectionInfo: nil)
        do throws(JSONError) {
            var at = 0
            var members = try JSONMembers(bytes, &at)
            while let name = try members.present(bytes, &at) {
                switch JSONKey(bytes, name) {
                case .user: user = JSON.text(bytes, try JSON.string(bytes, &at))
                case .client: client = JSON.text(bytes, try JSON.string(bytes, &at))
                case .connectionInfo:
                    let range = try JSON.value(bytes, &at)
                    connectionInfo = range.map { bytes[$0] }
                default: _ = try JSON.value(bytes, &at)
                }
            }
        } catch {
            return
        }
    }
}

extension JSONKey {
    static let user = JSONKey("user")
    static let client = JSONKey("client")
    static let connectionInfo = JSONKey("conn_info")
}
