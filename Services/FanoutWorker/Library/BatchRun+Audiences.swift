import Lanes
import Models
import ServiceStore
import Store

// The members of audiences, read page by page.
extension BatchRun {
    func readAudiences() {
        // Members come only as fast as they are served, and after a failure not before the pause is over.
        guard turns.hold.state == .open, readings.hasNext(), people.busy < 2 * window else { return }
        for reading in readings.takeNext() { readPage(reading) }
    }

    private func readPage(_ reading: AudienceReading) {
        tools.audiences.members(of: reading.audience, after: reading.last, limit: tools.limits.audiencePage) { result in
            guard !self.turns.isOver else { return }
            self.pageRead(reading, result)
            self.turns.schedule()
        }
    }

    private func pageRead(_ reading: AudienceReading, _ result: Result<MemberPage, StoreError>) {
        switch readings.answered(reading, result) {
        case .members(let members, let isLast):
            for member in members {
                for index in reading.records { enqueue(index, for: member) }
            }
            if isLast { end(reading) }
        case .again(let error): failed(error)
        case .giveUp:
            giveUp(reading.records, "the audience's members cannot be read")
            end(reading)
        }
    }

    private func end(_ reading: AudienceReading) {
        for index in readings.end(reading) { enqueue(index) }
    }
}
