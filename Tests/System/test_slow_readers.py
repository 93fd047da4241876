"""Clients that stop reading cost the gateway a small, constant amount, and lose nothing that is still stored."""

import time

import pytest

from carillon import kafka
from carillon.readers import Reader, read
from carillon.waiting import until

READERS = 1000
# A quarter of the defaults, so that the flood that passes them four times over is no larger than it must be.
SMALL = {"ADMISSION_RATE": 100_000, "SEND_BUFFER_BYTES": "16KB", "SOCKET_BUFFER_BYTES": "16KB",
         "PING_INTERVAL": "60s", "PONG_TIMEOUT": "59s"}
TEXT = "x" * 1200


@pytest.fixture(scope="module")
def gateway(cluster):
    running = cluster.extra("gateway", "gateway-slow-readers", SMALL)
    yield running
    running.end()


def resident(gateway):
    """What the process holds for itself, in KB."""
    with open(f"/proc/{gateway.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))


def flood(cluster, channel, first, count):
    kafka.produce(cluster.broker.address, "events.system-tests",
                  [kafka.event("channel.post", {"channel": channel}, title=str(number), body=TEXT)
                   for number in range(first, first + count)], key=channel)


def stored(cluster, pattern, people, count):
    """Whether so many inboxes match, and each holds so many."""
    keys = cluster.redis.ask("KEYS", f"inbox:{{*}}:{pattern}:state")
    script = "local least = 1e9 for i = 1, #KEYS do least = math.min(least, redis.call('HGET', KEYS[i], 'offset')) end return least"
    return len(keys) == people and cluster.redis.ask("EVAL", script, people, *keys) >= count


def walks(gateway):
    return gateway.metrics()["carillon_gateway_reconciliations_total"]


def heard(cluster, gateway, before):
    """Whether it has heard every batch that was published for it; or has gone through all its sessions since `before`, because a
    connection to Redis that a standstill broke has taken batches with it."""
    name = cluster.redis.ask("KEYS", f"gateway:{{{gateway.name}#*}}:sequence")[0]
    return (gateway.metrics()["carillon_gateway_batches_total"] >= int(cluster.redis.ask("GET", name))
            or walks(gateway) > before)


def test_a_thousand_paused_readers_under_a_flood(cluster, gateway, person):
    people = [person(f"reader-{number}") for number in range(READERS)]
    channel = person("channel")
    assert cluster.members(f"channel:{channel}", people).status == 200
    readers = [Reader(gateway.url, name, cluster.token(name), "websocket" if number % 2 else "sse", receive_buffer=4096)
               for number, name in enumerate(people)]
    try:
        read(readers, lambda reader: reader.greeting, 120, "connected")
        idle = resident(gateway)
        sizes, spoke = [], 0

        def alive(condition):
            """They answer pings: how long the flood takes is the machine's affair."""
            nonlocal spoke
            if time.monotonic() - spoke > 10:
                spoke = time.monotonic()
                for reader in readers[1::2]:
                    reader.say({})
            return condition
        for first in range(0, 160, 40):
            before = walks(gateway)
            flood(cluster, channel, first, 40)
            until(lambda: alive(stored(cluster, person("reader-*"), READERS, first + 40)), 300, "the flood is stored", every=0.25)
            until(lambda: alive(heard(cluster, gateway, before)), what="the gateway has heard of it")
            sizes.append(resident(gateway))
        # Past their buffers in 40 messages; four times as many are not written, and cost nothing more.
        written = sum(count for name, count in gateway.metrics().items() if name.startswith("carillon_gateway_deliveries_total{"))
        print(f"{written / READERS:.1f} messages written to a paused reader")
        assert written < READERS * 40
        print(f"RssAnon: idle {idle} KB, then {sizes} KB: {(sizes[-1] - idle) / READERS:.1f} KB a paused reader")
        assert sizes[0] - idle < READERS * 32, (idle, sizes)
        assert sizes[-1] - sizes[0] < READERS * 2, (idle, sizes)
        read(readers, lambda reader: len(reader.titles) >= 160, 300, "all of it")
        for reader in readers:
            assert reader.titles == [str(number) for number in range(160)], (reader.person, reader.transport, reader.titles)
        flood(cluster, channel, 160, 1)
        read(readers, lambda reader: len(reader.titles) >= 161, 120, "live again")
        assert resident(gateway) - sizes[0] < READERS * 2
    finally:
        for reader in readers:
            reader.close()


def test_what_was_trimmed_meanwhile_is_lost_in_words(cluster, gateway, person):
    """3010 for a WebSocket and the end for an event stream; the next connect says `recovered: false`, and goes on live."""
    bob = person("bob")
    readers = [Reader(gateway.url, bob, cluster.token(bob), transport, receive_buffer=4096) for transport in ("websocket", "sse")]
    read(readers, lambda reader: reader.greeting, 60, "connected")
    kafka.produce(cluster.broker.address, "events.system-tests", [
        kafka.event("message.direct", {"user": bob}, title=str(number), body=TEXT) for number in range(1200)])
    until(lambda: stored(cluster, bob, 1, 1200), 120, "1,200 are stored, of which 1,000 are kept", every=0.1)
    read(readers, lambda reader: reader.closed, 60, "closed")
    assert readers[0].code == 3010
    again = []
    for reader in readers:
        assert 0 < len(reader.titles) < 200 and reader.titles == [str(number) for number in range(len(reader.titles))]
        again.append(Reader(gateway.url, bob, cluster.token(bob), reader.transport, cursor=reader.cursor))
    read(again, lambda reader: reader.greeting, 60, "connected again")
    assert [reader.recovered for reader in again] == [False, False] and [reader.titles for reader in again] == [[], []]
    kafka.produce(cluster.broker.address, "events.system-tests", [kafka.event("message.direct", {"user": bob}, title="live")])
    read(again, lambda reader: reader.titles, 60, "live")
    for reader in readers + again:
        reader.close()
