import Centrifuge
import Models
import TestSupport
import Testing

private let room = ChannelID("room")!
private let hall = ChannelID("hall")!

@Suite struct CommandOrderTests {
    /// Whatever comes and however it is answered: nothing is lost, nothing comes twice, and a channel's order is kept.
    @Test func keepsTheOrderOfEachChannel() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            var order = CommandOrder()
            var (given, back): ([ChannelID: [UInt64]], [ChannelID: [UInt64]]) = ([:], [:])
            func answer(_ channel: ChannelID) { for waiting in order.answered(channel) { back[channel, default: []].append(waiting.id) } }
            for id in 1...UInt64.random(in: 1...40, using: &random) {
                let channel = Bool.random(using: &random) ? room : hall
                let waiting = CommandOrder.Waiting(id: id, command: .unsubscribe("channel:\(channel)"))
                if order.wait(waiting, channel) {
                    given[channel, default: []].append(id)
                } else {
                    order.asks(id, channel)
                }
                #expect(order.unanswered(channel) != nil)
                if Int.random(in: 0..<4, using: &random) == 0 { answer(Bool.random(using: &random) ? room : hall) }
            }
            answer(room)
            answer(hall)
            #expect(back == given && order == CommandOrder() && order.waiting == 0)
        }
    }
}

@Suite struct DisconnectTests {
    @Test func aControlLineOrdersCodesOfTheProtocolAlone() {
        #expect(Disconnect(ordered: 3503) == .replaced && Disconnect(ordered: 2999) == nil && Disconnect(ordered: 5000) == nil)
    }
}
