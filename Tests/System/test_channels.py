"""Clients that look at a channel now, on two gateways: posts from Kafka, recovery, presence, refusals, and a gateway's death."""

import itertools

import pytest

from carillon import kafka
from carillon.waiting import until
from carillon.watching import Watcher

NUMBERS = itertools.count(1)


@pytest.fixture
def room(person):
    return person("room")


@pytest.fixture
def gateway(cluster):
    running = cluster.extra("gateway", f"gateway-watched-{next(NUMBERS)}")
    yield running
    running.end()


def watcher(cluster, person, gateway, channels=(), **claims):
    base = gateway.url.replace("http", "ws", 1)
    return Watcher(f"{base}/connection/websocket", token=cluster.token(person, channels=list(channels), **claims))


def post(cluster, room, *titles, actor="nobody"):
    kafka.produce(cluster.broker.address, "events.system-tests",
                  [kafka.event("channel.post", {"channel": room}, title=title, actor=actor) for title in titles])


def test_a_post_is_shown_once_to_all_who_watch_and_is_in_the_inbox_under_the_same_id(cluster, person, room):
    ann, bob, carol = person("ann"), person("bob"), person("carol")
    first, second = cluster.gateways[:2]
    assert cluster.members(f"channel:{room}", [ann, bob]).status == 200
    name = f"channel:{room}"
    with watcher(cluster, ann, first) as at_first, watcher(cluster, bob, second) as at_second, \
            watcher(cluster, carol, second, [room]) as granted, watcher(cluster, bob, first) as inbox_only:
        for client in (at_first, at_second, granted):
            assert client.subscribe(name)["recoverable"] is True
        titles = [f"post {number}" for number in range(60)]
        post(cluster, room, *titles, actor=ann)
        for client in (at_first, at_second, granted):
            assert client.wait_posts(60) == titles
            assert [offset for offset, _, _ in client.posts] == list(range(1, 61)), "once, in order, from 1"
        at_second.wait(60)
        inbox_only.wait(60)
        assert at_second.ids == [identity for _, _, identity in at_second.posts], "the inbox and the channel say the same id"
        assert inbox_only.posts == [] and at_first.frames == [] and granted.frames == []
        history = granted.ask(history={"channel": name, "limit": 3, "reverse": True})["history"]
        assert [item["data"]["title"] for item in history["publications"]] == ["post 59", "post 58", "post 57"]


def test_a_watcher_that_was_away_recovers_what_it_missed(cluster, person, room):
    bob, name = person("bob"), f"channel:{room}"
    first, second = cluster.gateways[:2]
    with watcher(cluster, bob, first, [room]) as client:
        client.subscribe(name)
        post(cluster, room, "before")
        client.wait_posts(1)
    titles = [f"missed {number}" for number in range(250)]
    post(cluster, room, *titles)
    with watcher(cluster, bob, second, [room]) as back:
        assert back.subscribe(name, (client.place[name][0], 1))["recovered"] is True
        assert back.wait_posts(250) == titles
        post(cluster, room, "live")
        assert back.wait_posts(251)[-1] == "live"
        assert [offset for offset, _, _ in back.posts] == list(range(2, 253))
        reply = back.ask(unsubscribe={"channel": name})
        assert reply["unsubscribe"] == {}
        assert back.subscribe(name, ("1", 5))["recovered"] is False
        assert isinstance(back.subscribe(name), int), "subscribed already"


def test_presence_and_who_comes_and_goes(cluster, person, room):
    ann, bob, name = person("ann"), person("bob"), f"channel:{room}"
    first, second = cluster.gateways[:2]
    with watcher(cluster, ann, first, [room], info={"name": "Ann"}) as here:
        here.subscribe(name, join_leave=True)
        with watcher(cluster, bob, second, [room]) as there:
            there.subscribe(name)
            until(lambda: here.tidings == [("join", bob)], what=lambda: here.tidings)
            presence = there.ask(presence={"channel": name})["presence"]["presence"]
            assert {entry["user"]: entry.get("conn_info") for entry in presence.values()} == {ann: {"name": "Ann"}, bob: None}
            assert presence[there.reply["client"]]["user"] == bob
            assert there.ask(presence_stats={"channel": name})["presence_stats"] == {"num_clients": 2, "num_users": 2}
        until(lambda: here.tidings == [("join", bob), ("leave", bob)], what=lambda: here.tidings)
        assert here.ask(presence_stats={"channel": name})["presence_stats"] == {"num_clients": 1, "num_users": 1}


def test_who_may_not_is_refused(cluster, person, room):
    eve = person("eve")
    with watcher(cluster, eve, cluster.gateways[0], ["another"]) as client:
        assert client.subscribe(f"channel:{room}") == 103
        assert client.subscribe("general") == 102
        assert client.ask(history={"channel": f"channel:{room}"})["error"]["code"] == 103
        for number in range(64):
            cluster.members(f"channel:{room}-{number}", [eve])
            assert isinstance(client.subscribe(f"channel:{room}-{number}"), dict)
        cluster.members(f"channel:{room}", [eve])
        assert client.subscribe(f"channel:{room}") == 106
        client.ask(unsubscribe={"channel": f"channel:{room}-7"})
        assert isinstance(client.subscribe(f"channel:{room}"), dict), "she is a member now"


def test_the_watchers_of_a_dead_gateway_are_swept(cluster, person, room, gateway):
    ann, bob, name = person("ann"), person("bob"), f"channel:{room}"
    with watcher(cluster, ann, cluster.gateways[0], [room]) as here:
        here.subscribe(name, join_leave=True)
        dying = watcher(cluster, bob, gateway, [room])
        dying.subscribe(name)
        until(lambda: here.tidings == [("join", bob)], what=lambda: here.tidings)
        gateway.kill()
        until(lambda: here.ask(presence_stats={"channel": name})["presence_stats"] == {"num_clients": 1, "num_users": 1},
              what="its watchers are gone")
        until(lambda: here.tidings == [("join", bob), ("leave", bob)], what=lambda: here.tidings)
        left = [key for key in cluster.redis.ask("KEYS", f"*{gateway.environment['INSTANCE_ID']}#*")]
        until(lambda: not cluster.redis.ask("KEYS", f"*{gateway.environment['INSTANCE_ID']}#*"), what=f"nothing is left: {left}")
        post(cluster, room, "after")
        assert here.wait_posts(1) == ["after"]


def test_a_drain_sends_watchers_elsewhere_and_leaves_nothing(cluster, person, room, gateway):
    bob, name = person("bob"), f"channel:{room}"
    client = watcher(cluster, bob, gateway, [room])
    client.subscribe(name)
    assert gateway.terminate(25) == 0
    client.wait_closed()
    assert client.code == 3001
    assert not cluster.redis.ask("KEYS", f"*{gateway.environment['INSTANCE_ID']}#*")
