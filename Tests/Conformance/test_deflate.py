"""permessage-deflate (RFC 7692) with clients that others wrote: the library `websockets`, and centrifuge-python on it."""

import json

import pytest
import websockets.sync.client

from carillon import kafka
from carillon.waiting import until
from sdks import PythonClient, PythonProtobufClient

LONG = "a text that repeats itself, " * 60


@pytest.fixture(scope="module")
def gateway(cluster):
    instance = cluster.extra("gateway", "gateway-deflate", {"WEBSOCKET_DEFLATE": "true"})
    yield instance
    instance.end()


def url(gateway):
    return gateway.url.replace("http", "ws", 1) + "/connection/websocket"


def connected(cluster, gateway, person, **options):
    socket = websockets.sync.client.connect(url(gateway), ping_interval=None, open_timeout=60, proxy=None, **options)
    socket.send(json.dumps({"id": 1, "connect": {"token": cluster.token(person), "data": {"filling": LONG}}}))
    assert "connect" in json.loads(socket.recv(timeout=60))
    return socket


def test_a_library_takes_the_compression_that_it_offers(cluster, gateway, person):
    bob = person("bob")
    with connected(cluster, gateway, bob, compression="deflate") as packed, connected(cluster, gateway, bob, compression=None) as plain:
        assert [extension.name for extension in packed.protocol.extensions] == ["permessage-deflate"]
        assert plain.protocol.extensions == []
        titles = [LONG + str(number) for number in range(20)] + ["short"]
        kafka.produce(cluster.broker.address, "events.conformance",
                      [kafka.event("message.direct", {"user": bob}, title=title, body="b") for title in titles])
        for socket in (packed, plain):
            seen = []
            while len(seen) < len(titles):
                for line in socket.recv(timeout=60).split("\n"):
                    message = json.loads(line)
                    if message:
                        seen.append(message["push"]["pub"]["data"]["title"])
                    else:
                        socket.send("{}")
            assert seen == titles


@pytest.mark.parametrize("kind", [PythonClient, PythonProtobufClient], ids=lambda kind: kind.name)
def test_the_python_sdk_receives_compressed(cluster, gateway, person, kind):
    """Its inbox, and a channel that it watches."""
    bob, room = person("bob"), person("room")
    assert cluster.members(f"channel:{room}", [bob]).status == 200
    client = kind(url(gateway), cluster.token(bob))
    try:
        until(lambda: ("connected",) in client.events, what="connected")
        titles = [LONG + str(number) for number in range(10)]
        for title in titles:
            cluster.produce(kafka.event("message.direct", {"user": bob}, title=title), "events.conformance")
        seen = until(lambda: [e[2] for e in client.events if e[0] == "publication"] == titles, what=lambda: client.events[-3:])
        assert seen
        client.order("watch", f"channel:{room}")
        until(lambda: [e for e in client.events if e[0] == "watching"], what="watching")
        cluster.produce(kafka.event("channel.post", {"channel": room}, title=LONG), "events.conformance")
        until(lambda: ("seen", LONG) in client.events, what=lambda: client.events[-3:])
        assert [extension.name for extension in client.client._conn.protocol.extensions] == ["permessage-deflate"]
    finally:
        client.close()
