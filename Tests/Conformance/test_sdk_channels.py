"""SDKs that watch a channel: posts, presence, joins and leaves, history, a cut, and what they are refused."""

import pytest

from carillon import kafka
from carillon.proxy import Wire
from carillon.waiting import until


@pytest.fixture
def wire(cluster):
    wire = Wire(cluster.edge_url.removeprefix("http://"))
    yield wire
    wire.close()


@pytest.fixture
def connect(cluster, sdk, wire):
    """Connects a person whose token names these channels, through the wire or past it."""
    clients = []

    def connected(person, channels, past=False):
        address = cluster.edge_url.removeprefix("http://") if past else wire.address
        client = sdk(f"ws://{address}/connection/websocket?u={person}", cluster.token(person, channels=channels))
        clients.append(client)
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        return client
    yield connected
    for client in clients:
        client.close()


def post(cluster, room, *titles):
    kafka.produce(cluster.broker.address, "events.conformance",
                  [kafka.event("channel.post", {"channel": room}, title=title) for title in titles])


def seen(client):
    return [event[1] for event in list(client.events) if event[0] == "seen"]


def said(client, *kinds):
    return [tuple(event) for event in list(client.events) if event[0] in kinds]


def test_a_channel_with_presence_and_recovery(cluster, wire, connect, person):
    ann, bob, room = person("ann"), person("bob"), person("room")
    name = f"channel:{room}"
    here = connect(ann, [room])
    here.order("watch", name)
    until(lambda: said(here, "watching") == [("watching", False, False)], what=lambda: here.events)
    there = connect(bob, [room], past=True)
    there.order("watch", name)
    until(lambda: said(here, "join") == [("join", bob)], what=lambda: here.events)
    post(cluster, room, "one", "two")
    for client in (here, there):
        until(lambda: seen(client) == ["one", "two"], what=lambda: client.events)
    here.order("presence")
    until(lambda: said(here, "presence"), what=lambda: here.events)
    assert [list(part) if isinstance(part, (list, tuple)) else part for part in said(here, "presence")[0]] == [
        "presence", sorted([ann, bob]), 2, 2]

    # Cut off, and back: it recovers more than a page by itself.
    wire.down()
    until(lambda: said(there, "leave") == [("leave", ann)], what=lambda: there.events)
    missed = [f"missed {number}" for number in range(250)]
    post(cluster, room, *missed)
    until(lambda: len(seen(there)) == 252, what=lambda: len(seen(there)))
    wire.up()
    until(lambda: len(seen(here)) == 252, what=lambda: len(seen(here)))
    assert seen(here) == seen(there) == ["one", "two", *missed], "once each, in order"
    assert said(here, "watching")[1:] == [("watching", True, True)]
    until(lambda: ("join", ann) in said(there, "join"), what=lambda: said(there, "join"))

    there.order("history")
    until(lambda: said(there, "history"), what="its history")
    assert list(said(there, "history")[0][1]) == ["one", "two", *missed[:98]], "a page of it, the oldest first"
    here.order("unwatch")
    until(lambda: said(here, "unwatched"), what=lambda: said(here, "unwatched"))
    until(lambda: said(there, "leave").count(("leave", ann)) == 2, what=lambda: said(there, "leave"))
    post(cluster, room, "after")
    until(lambda: seen(there)[-1] == "after", what=lambda: seen(there)[-1])
    assert len(seen(here)) == 252 and not said(here, "disconnected", "refused")


def test_one_that_leaves_and_comes_back_before_any_answer_watches(cluster, connect, sdk, person):
    """The answer to its first subscribe must not be taken for that to its second."""
    if sdk.name == "java":
        pytest.skip("the Java SDK 0.4.1 sends both subscribes before the unsubscribe between them, and is told so (105)")
    bob, room = person("bob"), person("room")
    client = connect(bob, [room])
    client.order("flap", f"channel:{room}")
    until(lambda: said(client, "watching"), what=lambda: client.events)
    post(cluster, room, "one", "two")
    until(lambda: seen(client) == ["one", "two"], what=lambda: client.events)
    assert said(client, "watching") == [("watching", False, False)] and not said(client, "refused", "disconnected"), client.events


def test_what_is_not_allowed_is_not_tried_again(cluster, connect, person):
    eve, room = person("eve"), person("room")
    client = connect(eve, ["another"])
    client.order("watch", f"channel:{room}")
    until(lambda: said(client, "unwatched") == [("unwatched", 103)], what=lambda: client.events)
    assert not said(client, "disconnected", "watching")


def test_a_member_may_watch_without_a_word_in_her_token(cluster, connect, person):
    bob, room = person("bob"), person("room")
    assert cluster.members(f"channel:{room}", [bob]).status == 200
    client = connect(bob, [])
    client.order("watch", f"channel:{room}")
    until(lambda: said(client, "watching"), what=lambda: client.events)
    post(cluster, room, "for members")
    until(lambda: seen(client) == ["for members"], what=lambda: client.events)
    # It is in her inbox as well, under the same id: the SDK shows both, and which to show is the application's part.
    until(lambda: any(event[0] == "publication" and event[2] == "for members" for event in client.events), what=lambda: client.events)


def test_a_channel_that_was_forgotten_is_subscribed_to_anew(cluster, connect, person):
    """Unsubscribed with 2500, it comes back by itself and is told that it lost something."""
    bob, room = person("bob"), person("room")
    client = connect(bob, [room])
    client.order("watch", f"channel:{room}")
    until(lambda: said(client, "watching"), what=lambda: client.events)
    post(cluster, room, "one")
    until(lambda: seen(client) == ["one"], what=lambda: client.events)
    cluster.redis.ask("DEL", f"channel:{{{room}}}", f"channel:{{{room}}}:state")
    post(cluster, room, "two")
    until(lambda: said(client, "watching")[1:] == [("watching", True, False)], what=lambda: client.events)
    post(cluster, room, "three")
    until(lambda: seen(client)[-1] == "three", what=lambda: client.events)
