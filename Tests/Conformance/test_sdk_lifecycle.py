"""SDKs through what happens to a connection in its life: a drain, refreshed tokens."""

import time

import pytest

from carillon import kafka
from carillon.servers import Edge
from carillon.waiting import stays, until
from sdks import TokenServer, count, publications


@pytest.fixture(scope="module")
def pair(cluster, tmp_path_factory):
    """Two gateways behind an edge of their own, which drain within a second."""
    gateways = [cluster.extra("gateway", f"gateway-pair-{number}", {"DRAIN_WINDOW": "1s"}) for number in (1, 2)]
    edge = Edge(tmp_path_factory.mktemp("edge-pair"), {"gateway": [gateway.url.removeprefix("http://") for gateway in gateways]})
    edge.start()
    edge.gateways = gateways
    yield edge
    edge.end()
    for gateway in gateways:
        gateway.end()


def held(gateway):
    return gateway.metrics()['carillon_gateway_connections{transport="websocket"}']


def holder(edge):
    """The gateway that holds the WebSocket."""
    return until(lambda: next(filter(held, edge.gateways), None), what="a gateway holds it")


def send(cluster, person, *titles):
    kafka.produce(cluster.broker.address, "events.conformance",
                  [kafka.event("message.direct", {"user": person}, title=title) for title in titles])


def gave_up(client):
    return any(event[0] in ("disconnected", "unsubscribed") for event in list(client.events))


def test_gateways_drain_one_after_another_and_it_misses_nothing(cluster, pair, sdk, person):
    bob, expected = person("bob"), []
    until(lambda: not any(map(held, pair.gateways)), what="who was here before has gone")
    client = sdk(f"{pair.url.replace('http', 'ws', 1)}/connection/websocket?u={bob}", cluster.token(bob))

    def flow(*titles):
        expected.extend(titles)
        send(cluster, bob, *titles)
    try:
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        flow("before")
        for round in range(2):
            gateway = holder(pair)
            gateway.send(15)
            number = 0
            while gateway.runs:
                flow(f"{round} {number}")
                number += 1
                time.sleep(0.05)
            assert gateway.process.wait(60) == 0
            flow(f"{round} gone")
            until(lambda: publications(client) == expected, what=lambda: (publications(client), expected))
            gateway.start()
        flow("after")
        until(lambda: publications(client) == expected, what=lambda: (publications(client), expected))
        assert count(client, "connected") >= 3 and not gave_up(client)
        subscribed = [event for event in client.events if event[0] == "subscribed"]
        assert all(tuple(event[2:]) == (True, True) for event in subscribed[1:]), subscribed
    finally:
        client.close()


def test_it_refreshes_tokens_that_live_briefly(cluster, sdk, person):
    """Well past the first token's end the connection is still the first one."""
    bob = person("bob")
    tokens = TokenServer(lambda: cluster.token(bob, seconds=8))
    client = sdk(f"{cluster.edge_url.replace('http', 'ws', 1)}/connection/websocket?u={bob}", tokens=tokens)
    try:
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        stays(lambda: count(client, "connected") == 1 and not gave_up(client), 10, lambda: client.events)
        until(lambda: tokens.minted >= 4, what="it asks for one before each ends")
        send(cluster, bob, "still the same")
        until(lambda: publications(client) == ["still the same"], what=lambda: client.events)
        assert count(client, "connected") == 1 and not gave_up(client)
        assert [event for event in client.events if event[0] == "connecting"] in ([], [("connecting", 0)]), client.events
    finally:
        client.close()
        tokens.close()


def test_one_whose_refresh_brings_an_expired_token_comes_back_with_a_new_one(cluster, sdk, person):
    """A backend whose clock is off, or a cache: the connection ends with 3005, and not for good."""
    bob, lives = person("bob"), iter([8, -5])
    tokens = TokenServer(lambda: cluster.token(bob, seconds=next(lives, 3600)))
    client = sdk(f"{cluster.edge_url.replace('http', 'ws', 1)}/connection/websocket?u={bob}", tokens=tokens)
    try:
        until(lambda: count(client, "connected") == 2 or gave_up(client), what=lambda: client.events)
        assert ("connecting", 3005) in client.events and not gave_up(client), client.events
        send(cluster, bob, "back")
        until(lambda: publications(client) == ["back"], what=lambda: client.events)
    finally:
        client.close()
        tokens.close()


def test_one_that_came_with_an_expired_token_gets_a_new_one(cluster, sdk, person):
    """Error 109 makes it ask its backend, and not give up."""
    bob, lives = person("bob"), iter([-5, -5])
    tokens = TokenServer(lambda: cluster.token(bob, seconds=next(lives, 3600)))
    client = sdk(f"{cluster.edge_url.replace('http', 'ws', 1)}/connection/websocket?u={bob}", tokens=tokens)
    try:
        until(lambda: ("connected",) in client.events, what=lambda: client.events)
        assert tokens.minted == 3 and not gave_up(client)
    finally:
        client.close()
        tokens.close()
