"""Clients that others wrote, unmodified: they connect, receive on `inbox`, are cut off, reconnect and recover."""

from carillon import kafka
from carillon.waiting import until
from sdks import publications


def last_subscribed(client):
    """The SDK tells of its subscription after its connection, in a line of its own."""
    until(lambda: any(event[0] == "subscribed" for event in client.events), what=lambda: client.events)
    return [event for event in list(client.events) if event[0] == "subscribed"][-1]


def send(cluster, person, *titles):
    kafka.produce(cluster.broker.address, "events.conformance",
                  [kafka.event("message.direct", {"user": person}, title=title) for title in titles])


def test_connect_receive_cut_reconnect_recover(cluster, wire, sdk, person):
    bob = person("bob")
    client = sdk(f"ws://{wire.address}/connection/websocket?u={bob}", cluster.token(bob))
    try:
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        assert last_subscribed(client)[1] == "inbox"
        send(cluster, bob, "one", "two")
        until(lambda: publications(client) == ["one", "two"], what=lambda: client.events)
        for round in range(2):
            wire.down()
            until(lambda: client.events[-1][0] in ("connecting", "error"), what=lambda: client.events)
            missed = [f"missed {round} {number}" for number in range(12)]
            send(cluster, bob, *missed)
            until(lambda: cluster.inbox(bob)["unread"] == 2 + 12 * (round + 1), what="the inbox holds what was missed")
            wire.up()
            until(lambda: client.events.count(("connected",)) == round + 2, what=lambda: client.events)
            until(lambda: publications(client)[-12:] == missed, what=lambda: client.events)
            assert last_subscribed(client)[2:] == (True, True) or list(last_subscribed(client)[2:]) == [True, True]
        send(cluster, bob, "live again")
        until(lambda: publications(client)[-1] == "live again", what=lambda: client.events)
        expected = ["one", "two", *(f"missed {round} {number}" for round in range(2) for number in range(12)), "live again"]
        assert publications(client) == expected, "once each, in order"
        assert not any(event[0] in ("unsubscribed", "disconnected") for event in client.events)
        cursors = [event[3] for event in client.events if event[0] == "publication"]
        assert len(set(cursors)) == len(cursors)
    finally:
        client.close()


def test_more_than_a_page_was_missed(cluster, wire, sdk, person):
    """The SDK keeps its position while the pages come as pushes."""
    bob = person("bob")
    client = sdk(f"ws://{wire.address}/connection/websocket?u={bob}", cluster.token(bob))
    try:
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        wire.down()
        until(lambda: client.events[-1][0] in ("connecting", "error"), what=lambda: client.events)
        titles = [f"{number}" for number in range(700)]
        send(cluster, bob, *titles)
        until(lambda: cluster.inbox(bob)["unread"] == 700, what="700 in the inbox")
        wire.up()
        until(lambda: len(publications(client)) >= 100, what=lambda: client.events[-3:])
        wire.cut()  # in the middle of the pages, perhaps
        until(lambda: len(publications(client)) >= 700, what=lambda: len(publications(client)))
        assert publications(client) == titles
    finally:
        client.close()


def test_a_gateway_that_dies_under_it(cluster, sdk, person):
    bob = person("bob")
    gateway = cluster.gateways[1]
    client = sdk(f"ws://{gateway.url.removeprefix('http://')}/connection/websocket", cluster.token(bob))
    try:
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        send(cluster, bob, "before")
        until(lambda: publications(client) == ["before"], what=lambda: client.events)
        gateway.kill()
        send(cluster, bob, "meanwhile")
        gateway.start()
        until(lambda: publications(client) == ["before", "meanwhile"], what=lambda: client.events)
        send(cluster, bob, "after")
        until(lambda: publications(client) == ["before", "meanwhile", "after"], what=lambda: client.events)
    finally:
        client.close()


def test_a_drain_sends_it_elsewhere(cluster, sdk, person):
    """Told to reconnect, it does, and recovers at the next process."""
    bob = person("bob")
    gateway = cluster.extra("gateway", f"gateway-drained-{sdk.name}")
    client = sdk(f"ws://{gateway.url.removeprefix('http://')}/connection/websocket", cluster.token(bob))
    try:
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        assert gateway.terminate(25) == 0
        send(cluster, bob, "meanwhile")
        gateway.start()
        until(lambda: publications(client) == ["meanwhile"], what=lambda: client.events)
        assert not any(event[0] == "disconnected" for event in client.events), "it did not give up"
    finally:
        client.close()
        gateway.end()


def test_a_forged_token_is_final_and_an_expired_one_is_not_garbage(cluster, sdk, person):
    bob = person("bob")
    url = cluster.edge_url.replace("http", "ws", 1) + "/connection/websocket"
    client = sdk(url, cluster.token(bob)[:-6] + "AAAAAA")
    try:
        until(lambda: any(event[:2] == ("disconnected", 3500) for event in client.events), what=lambda: client.events)
    finally:
        client.close()
