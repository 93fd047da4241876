import Models
import Store

// The members of audiences, read page by page.
extension BatchRun {
    func walk() {
        while walksUnderWay < tools.limits.walks, let next = order.begin() {
            walksUnderWay += 1
            walks.append(AudienceWalk(next))
        }
        // Members come only as fast as they are served.
        guard !walks.isEmpty, queues.busy < 2 * window else { return }
        let waiting = walks
        walks = []
        for walk in waiting { read(walk) }
    }

    private func read(_ walk: AudienceWalk) {
        tools.audiences.members(of: walk.audience, after: walk.last, limit: tools.limits.audiencePage) { result in
            guard !self.isOver else { return }
            self.take(walk, result)
            self.schedule()
        }
    }

    private func take(_ walk: AudienceWalk, _ result: Result<MemberPage, StoreError>) {
        var walk = walk
        switch walk.read(result, attempts: tools.limits.attempts) {
        case .members(let members, let isLast):
            for member in members {
                for index in walk.records { enqueue(index, for: member) }
            }
            if isLast { end(walk) } else { walks.append(walk) }
        case .again(let error):
            failed(error)
            walks.append(walk)
        case .giveUp:
            for index in walk.records where !items[index].isDeadLetter {
                items[index].isDeadLetter = true
                deadLetter(
                    items[index].source, DeadLetter(.attemptsExhausted, "the audience's members cannot be read"),
                    attempts: tools.limits.attempts)
            }
            end(walk)
        }
    }

    private func end(_ walk: AudienceWalk) {
        walksUnderWay -= 1
        for index in order.finished(walk.walk) { enqueue(index) }
    }
}
