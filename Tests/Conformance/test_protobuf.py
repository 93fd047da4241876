"""The protocol's other codec on the wire, with Google's Protobuf at the client's end."""

import itertools
import json

import pytest
import websockets.exceptions
import websockets.sync.client

from carillon import kafka
from carillon.client_protocol import command, frame, replies, values
from carillon.waiting import until
from sdks import PythonProtobufClient

REFUSED = 'carillon_gateway_disconnects_total{reason="bad_request"}'


@pytest.fixture
def speak(cluster):
    """Opens a connection that speaks Protobuf, by subprotocol or by the query."""
    opened = []

    def spoken(query="", subprotocols=("centrifuge-protobuf",)):
        url = cluster.gateways[0].url.replace("http", "ws", 1) + "/connection/websocket" + query
        opened.append(websockets.sync.client.connect(url, subprotocols=subprotocols or None, ping_interval=None, compression=None,
                                                     proxy=None, open_timeout=60))
        return opened[-1]
    yield spoken
    for socket in opened:
        socket.close()


@pytest.fixture
def connected(cluster, speak):
    def made(person, *arguments, **claims):
        socket = speak(*arguments)
        socket.send(frame(command(id=1, connect={"token": cluster.token(person, **claims), "name": "python"})))
        first, = messages(socket)
        assert first["id"] == 1 and first["connect"]["pong"] and first["connect"]["subs"]["inbox"]["positioned"], first
        return socket
    return made


def messages(socket):
    """The messages of the next frame that is no ping."""
    while (content := socket.recv(timeout=60)) == b"\x00":
        socket.send(b"\x00")
    assert isinstance(content, bytes), "Protobuf goes in binary frames"
    return [values(reply) for reply in replies(content)]


def closed_with(socket):
    with pytest.raises(websockets.exceptions.ConnectionClosed):
        while True:
            socket.recv(timeout=60)
    return socket.close_code


def test_commands_are_answered(cluster, connected, person):
    bob, room = person("bob"), person("room")
    socket = connected(bob, channels=[room])
    # Several in a frame, one of them longer than a length of one byte, with answers of every kind.
    name = f"channel:{room}"
    asked = [command(id=2, subscribe={"channel": name, "join_leave": True}), command(id=3, presence={"channel": name}),
             command(id=4, presence_stats={"channel": name}), command(id=5, history={"channel": name, "limit": 10}),
             command(id=6, rpc={"method": "ack", "data": {"ids": ["x" * 300]}}), command(id=7, publish={}),
             command(id=8, subscribe={"channel": "nowhere"}), command(id=9, rpc={"method": "pause"}),
             command(id=10, unsubscribe={"channel": name}), command(), command(id=11, refresh={"token": cluster.token(bob, channels=[room])})]
    socket.send(frame(*asked))
    found = {}
    while len(found) < 10:
        for message in messages(socket):
            if "id" in message:
                found[message["id"]] = message
    assert found[2]["subscribe"]["recoverable"] and found[2]["subscribe"]["epoch"]
    watcher, = found[3]["presence"]["presence"].values()
    assert watcher["user"] == bob and watcher["client"].startswith("gateway")
    assert found[4]["presence_stats"] == {"num_clients": 1, "num_users": 1} and "epoch" in found[5]["history"]
    assert [found[id]["error"]["code"] for id in (6, 7, 8)] == [107, 108, 102]
    assert found[9]["rpc"]["data"] == {} and "unsubscribe" in found[10] and found[11]["refresh"]["ttl"] > 0


@pytest.mark.parametrize("query, subprotocols", [("", ["centrifuge-protobuf"]), ("?cf_protocol=protobuf", None),
                                                 ("?cf_protocol=json", ["other", "centrifuge-protobuf"])])
def test_notifications_come_as_they_are(cluster, connected, person, query, subprotocols):
    """Of every size that changes how long a length is."""
    bob = person("bob")
    socket = connected(bob, query, subprotocols)
    titles = [str(size) + "x" * size for size in (0, 1, 40, 100, 1000, 4000)]
    kafka.produce(cluster.broker.address, "events.conformance",
                  [kafka.event("message.direct", {"user": bob}, title=title) for title in titles])
    seen = []
    while len(seen) < len(titles):
        for message in messages(socket):
            publication = message["push"]["pub"]
            seen.append(publication["data"]["title"])
            assert message["push"]["channel"] == "inbox" and publication["tags"]["cursor"].endswith(f"-{publication['offset']}")
    assert seen == titles
    socket.send(frame(command(id=2, rpc={"method": "read", "data": {"cursor": publication["tags"]["cursor"]}})))
    answer, = messages(socket)
    assert answer == {"id": 2, "rpc": {"data": {"unread": 0, "revision": 1}}}


def test_a_subprotocol_goes_before_the_query(speak):
    socket = speak("?cf_protocol=protobuf", ["centrifuge-json"])
    socket.send("{}x")
    assert closed_with(socket) == 3501


BROKEN = {
    "nothing": b"", "a length beyond the frame": b"\x05\x08\x01", "a varint that is cut short": b"\x80",
    "a varint of eleven bytes": b"\x80" * 10 + b"\x01", "a length over 64 bits": b"\xff" * 9 + b"\x02",
    "a length over 63 bits": b"\xff" * 9 + b"\x01", "a group": b"\x04\x08\x01\x0b\x0c",
    "a wire type without a meaning": b"\x03\x08\x01\x0f", "field 0": b"\x02\x00\x00", "a connect without an id": b"\x02\x22\x00",
    "a length within that leaves its message": b"\x05\x08\x01\x22\x09\x01", "a token that is not UTF-8": b"\x07\x08\x01\x22\x03\x0a\x01\xff",
    "ten thousand messages within one another": b"\x90\x4e" + b"\x22" * 10_000,
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_no_protobuf_is_refused_and_counted(cluster, speak, broken):
    gateway = cluster.gateways[0]
    before = gateway.metrics()[REFUSED]
    socket = speak()
    socket.send(BROKEN[broken])
    assert closed_with(socket) == 3501
    until(lambda: gateway.metrics()[REFUSED] == before + 1, what="it is counted")


@pytest.mark.parametrize("subprotocols, wrong", [(["centrifuge-protobuf"], "{}"), (["centrifuge-json"], b"\x00"), (None, b"\x00")])
def test_the_other_kind_of_frame_is_refused(speak, subprotocols, wrong):
    socket = speak("", subprotocols)
    socket.send(wrong)
    assert closed_with(socket) == 3501


def test_both_codecs_side_by_side(cluster, person):
    """One person and one channel, one connection of each codec: both are told the same."""
    bob, room = person("bob"), person("room")
    assert cluster.members(f"channel:{room}", [bob]).status == 200
    with cluster.websocket(bob) as plain, cluster.protobuf(bob) as packed:
        for one, id in itertools.product((plain, packed), (2,)):
            one.said_of_channel = []
            said = one.said
            one.said = lambda message, one=one, said=said: (one.said_of_channel.append(message), said(message))
            one.send({"id": id, "subscribe": {"channel": f"channel:{room}"}})
            until(lambda: any("subscribe" in message for message in one.said_of_channel), what="subscribed")
        kafka.produce(cluster.broker.address, "events.conformance",
                      [kafka.event("message.direct", {"user": bob}, title=f"to her {number}") for number in range(20)]
                      + [kafka.event("channel.post", {"channel": room}, title=f"to all {number}") for number in range(20)])
        for one in (plain, packed):
            one.wait(40)

        def posts(one):
            pushes = [message["push"] for message in list(one.said_of_channel) if "push" in message]
            return [(push["pub"]["offset"], json.dumps(push["pub"]["data"])) for push in pushes if push.get("channel") == f"channel:{room}"]
        until(lambda: len(posts(plain)) == len(posts(packed)) == 20, what=lambda: (posts(plain), posts(packed)))
        assert posts(plain) == posts(packed)
        assert [frame.notification for frame in plain.frames] == [frame.notification for frame in packed.frames]
        assert [frame.cursor for frame in plain.frames] == [frame.cursor for frame in packed.frames]


def test_a_pong_keeps_a_connection_and_its_lack_ends_it(cluster, person):
    """An SDK answers a ping of length 0 with the same."""
    instance = cluster.extra("gateway", "gateway-protobuf-pings", {"PING_INTERVAL": "2s", "PONG_TIMEOUT": "1s"})
    try:
        bob = person("bob")
        client = PythonProtobufClient(instance.url.replace("http", "ws", 1) + "/connection/websocket", cluster.token(bob))
        silent = websockets.sync.client.connect(instance.url.replace("http", "ws", 1) + "/connection/websocket", proxy=None, compression=None,
                                                subprotocols=["centrifuge-protobuf"], ping_interval=None)
        silent.send(frame(command(id=1, connect={"token": cluster.token(bob)})))
        assert closed_with(silent) == 3012
        assert not [event for event in client.events if event[0] == "disconnected"] and ("connected",) in client.events
        assert client.events.count(("connected",)) == 1
        client.close()
    finally:
        instance.end()
