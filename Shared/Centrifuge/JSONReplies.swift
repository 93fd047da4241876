import Models

// Replies and pushes in JSON.
extension JSONWriter {
    mutating func reply(_ reply: Reply, to id: UInt64) {
        raw(#"{"id":"#)
        digits(id)
        switch reply {
        case .error(let error):
            raw(#","error":{"code":"#)
            integer(Int64(error.code))
            raw(#","message":"#)
            string(error.message)
            if error.isTemporary { raw(#","temporary":true"#) }
        case .connect(let result): connected(result)
        case .refresh(let result):
            raw(#","refresh":{"#)
            session(client: result.client, version: result.version, ttl: result.ttl)
        case .subscribe(let result):
            raw(#","subscribe":{"#)
            subscription(result, withCursors: false)
        case .unsubscribe: raw(#","unsubscribe":{"#)
        case .history(let position, let entries):
            raw(#","history":{"epoch":""#)
            place(position)
            publications(entries, epoch: nil)
        case .presence(let watchers):
            raw(#","presence":{"presence":{"#)
            for (index, watcher) in watchers.enumerated() {
                if index > 0 { byte(UInt8(ascii: ",")) }
                string(watcher.connection)
                byte(UInt8(ascii: ":"))
                raw(watcher.info)
            }
            raw("}")
        case .presenceStats(let clients, let people):
            raw(#","presence_stats":{"num_clients":"#)
            integer(Int64(clients))
            raw(#","num_users":"#)
            integer(Int64(people))
        case .rpc(let data):
            raw(#","rpc":{"data":"#)
            raw(data)
        }
        raw("}}")
    }

    private mutating func connected(_ result: ConnectResult) {
        raw(#","connect":{"#)
        session(client: result.client, version: result.version, ttl: result.ttl)
        raw(#","ping":"#)
        integer(Int64(result.ping))
        raw(#","data":"#)
        raw(result.data)
        raw(#","pong":true,"subs":{"inbox":{"#)
        subscription(result.inbox, withCursors: true)
        raw("}}")
    }

    private mutating func session(client: String, version: String, ttl: Int64) {
        raw(#""client":"#)
        string(client)
        raw(#","version":"#)
        string(version)
        raw(#","expires":true,"ttl":"#)
        integer(ttl)
    }

    private mutating func subscription(_ result: SubscribeResult, withCursors: Bool) {
        raw(#""recoverable":true,"positioned":true,"epoch":""#)
        place(result.position)
        if result.wasRecovering { raw(#","was_recovering":true"#) }
        raw(#","recovered":"#)
        bool(result.recovered)
        if !result.publications.isEmpty { publications(result.publications, epoch: withCursors ? result.position.epoch : nil) }
    }

    /// What stands behind `"epoch":"`, with the offset.
    private mutating func place(_ position: StreamPosition) {
        digits(position.epoch)
        raw(#"","offset":"#)
        digits(position.offset)
    }

    /// - Parameter epoch: of the cursors; nil: without any.
    private mutating func publications(_ entries: [StoredPublication], epoch: UInt64?) {
        raw(#","publications":["#)
        for (index, entry) in entries.enumerated() {
            if index > 0 { byte(UInt8(ascii: ",")) }
            raw(#"{"offset":"#)
            digits(entry.offset)
            if let epoch {
                bytes.append(contentsOf: InboxPublication.jsonTags)
                StreamPosition(epoch: epoch, offset: entry.offset).append(to: &bytes)
                raw(#""}"#)
            }
            raw(#","data":"#)
            raw(entry.data)
            byte(UInt8(ascii: "}"))
        }
        raw("]")
    }

    mutating func push(_ push: Push) {
        raw(#"{"push":{"#)
        switch push {
        case .message(let data):
            raw(#""message":{"data":"#)
            raw(data)
        case .inbox(let position):
            raw(#""channel":"inbox","subscribe":{"recoverable":true,"positioned":true,"epoch":""#)
            place(position)
        case .post(let id, let offset, let notification):
            channel(id)
            raw(#","pub":{"offset":"#)
            digits(offset)
            raw(#","data":"#)
            bytes.append(contentsOf: notification)
        case .join(let id, let info):
            channel(id)
            raw(#","join":{"info":"#)
            bytes.append(contentsOf: info)
        case .leave(let id, let info):
            channel(id)
            raw(#","leave":{"info":"#)
            bytes.append(contentsOf: info)
        case .unsubscribe(let id, let why):
            channel(id)
            raw(#","unsubscribe":{"code":"#)
            integer(Int64(why.code))
            raw(#","reason":"#)
            string(why.reason)
        }
        raw("}}}")
    }

    private mutating func channel(_ id: ChannelID) {
        raw(#""channel":"#)
        string(id.subscribedName)
    }
}
