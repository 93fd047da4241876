"""Calls through clients that others wrote, unmodified: what is read, and a pause from which they recover."""

from carillon import kafka
from carillon.waiting import until
from sdks import publications


def send(cluster, person, *titles):
    kafka.produce(cluster.broker.address, "events.conformance",
                  [kafka.event("message.direct", {"user": person}, title=title) for title in titles])


def answer(client, method, data):
    """What a call is answered, through the SDK."""
    before = sum(event[:2] == ("answer", method) for event in list(client.events))
    client.order("call", method, data)
    found = until(lambda: [event for event in list(client.events) if event[:2] == ("answer", method)][before:],
                  what=lambda: client.events[-3:])
    return found[0][2]


def test_reads_are_answered_and_told(cluster, sdk, person):
    bob = person("bob")
    url = cluster.edge_url.replace("http", "ws", 1) + f"/connection/websocket?u={bob}"
    one, other = sdk(url, cluster.token(bob)), sdk(url, cluster.token(bob))
    try:
        until(lambda: ("connected",) in one.events and ("connected",) in other.events, what=lambda: (one.events, other.events))
        send(cluster, bob, "a", "b", "c")
        until(lambda: len(publications(one)) == len(publications(other)) == 3, what=lambda: (one.events, other.events))
        cursor = [event[3] for event in list(one.events) if event[0] == "publication"][1]
        assert answer(one, "ack", {"cursor": cursor}) == {"unread": 3, "revision": 0}
        assert answer(one, "read", {"cursor": cursor}) == {"unread": 1, "revision": 1}
        if not sdk.name.startswith("python"):  # which passes over pushes of this kind
            told = ("message", {"read": {"unread": 1, "revision": 1}})
            until(lambda: told in other.events, what=lambda: other.events)
        assert answer(other, "read", {"cursor": cursor}) == {"unread": 1, "revision": 1}
        assert not any(event[0] in ("error", "disconnected") for event in [*one.events, *other.events])
    finally:
        one.close()
        other.close()


def test_a_pause_is_not_shown_again_after_a_cut(cluster, wire, sdk, person):
    """The answer to `resume` is no publication: the SDK learns the position behind it from the push in the same frame."""
    bob = person("bob")
    client = sdk(f"ws://{wire.address}/connection/websocket?u={bob}", cluster.token(bob))
    try:
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        send(cluster, bob, "one")
        until(lambda: publications(client) == ["one"], what=lambda: client.events)
        assert answer(client, "pause", {}) == {}
        send(cluster, bob, "two", "three")
        until(lambda: cluster.inbox(bob)["unread"] == 3, what="the inbox holds them")
        page = answer(client, "resume", {})
        assert [entry["title"] for entry in page["notifications"]] == ["two", "three"] and page["complete"]
        wire.cut()
        send(cluster, bob, "four")
        until(lambda: client.events.count(("connected",)) == 2, what=lambda: client.events)
        until(lambda: publications(client)[-1] == "four", what=lambda: client.events)
        assert publications(client) == ["one", "four"], "what the answer held does not come again"
    finally:
        client.close()
