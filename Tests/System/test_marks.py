"""What a person has received and read: told on one device, seen on the others; and clients that say how much they want."""

import itertools
import json
import os
import random
import subprocess
import time

from carillon import http, kafka, standstill
from carillon.clients import EventStream, WebSocket, position
from carillon.redis_wire import RedisWire
from carillon.servers import binaries
from carillon.waiting import until

TOPIC = "events.system-tests"


class Device(WebSocket):
    """A client that calls, and notes the counts that are pushed to it."""

    def __init__(self, cluster, person, gateway=None, name="python"):
        self.answers, self.reads, self.before, self.positions, self.numbers = {}, [], {}, [], itertools.count(2)
        base = (gateway.url if gateway else cluster.edge_url).replace("http", "ws", 1)
        super().__init__(f"{base}/connection/websocket?u={http.quote(person)}", connect=False)
        self.name = name
        self.connect(cluster.token(person))

    def send(self, *commands):
        for command in commands:
            if "connect" in command:
                command["connect"]["name"] = self.name
        super().send(*commands)

    def said(self, message):
        push = message.get("push", {})
        if "message" in push:
            self.reads.append(push["message"]["data"]["read"])
            self.before[self.reads[-1]["revision"]] = len(self.frames)
        elif "subscribe" in push:
            self.positions.append(push["subscribe"])
        elif "id" in message:
            self.answers[message["id"]] = message
        else:
            super().said(message)

    def call(self, method, **data):
        number = next(self.numbers)
        self.send({"id": number, "rpc": {"method": method, "data": data}})
        answer = until(lambda: self.answers.get(number), what=f"the answer to {method}")
        assert "error" not in answer, answer
        return answer["rpc"]["data"]


class Stream(EventStream):
    def __init__(self, cluster, person, gateway=None):
        self.reads, self.before = [], {}
        super().__init__(f"{gateway.url if gateway else cluster.edge_url}/connection/sse?u={http.quote(person)}&name=js", token=cluster.token(person))

    def dispatch(self, kind, data):
        if kind == "read":
            self.reads.append(json.loads(data))
            self.before[self.reads[-1]["revision"]] = len(self.frames)
        else:
            super().dispatch(kind, data)


def produce(cluster, person, titles, type="message.direct"):
    events = [kafka.event(type, {"user": person}, title=title) for title in titles]
    kafka.produce(cluster.broker.address, TOPIC, events, key=person)


def audit(cluster, *words):
    return subprocess.run([binaries() / "carillonctl", "inbox", "audit", *words], env=os.environ | {"REDIS_URL": cluster.redis.url},
                          capture_output=True, text=True, timeout=120)


def test_a_read_on_one_device_shows_on_the_others(cluster, person):
    bob = person("bob")
    one, other = cluster.gateways[:2]
    with Device(cluster, bob, one) as phone, Device(cluster, bob, other) as laptop, Stream(cluster, bob) as stream:
        produce(cluster, bob, ["a", "b", "c", "d"])
        frames = phone.wait(4)
        laptop.wait(4), stream.wait(4)
        first = {"unread": 2, "revision": 1}
        assert phone.call("read", ids=[frames[1].id, frames[2].id]) == first
        until(lambda: laptop.reads == [first] and stream.reads == [first], what=lambda: f"{laptop.reads} {stream.reads}")

        answer = http.request("POST", cluster.edge_url + "/v1/inbox/read", {"cursor": frames[3].cursor}, cluster.bearer(bob))
        second = {"unread": 0, "revision": 2}
        assert answer.status == 200 and answer.json() == second
        until(lambda: all(device.reads[-1:] == [second] for device in (phone, laptop, stream)),
              what=lambda: f"{phone.reads} {laptop.reads} {stream.reads}")
        assert phone.reads == [second], "who asked has it in the answer"

        assert laptop.call("unread", ids=[frames[0].id]) == {"unread": 1, "revision": 3}
        assert laptop.call("archive", ids=[frames[0].id]) == {"unread": 0, "revision": 4}
        until(lambda: stream.reads[-1]["revision"] == 4, what=lambda: f"{stream.reads}")
        inbox = cluster.inbox(bob)
        assert [entry["title"] for entry in inbox["notifications"]] == ["b", "c", "d"] and inbox["unread"] == 0
        assert all(len(device.frames) == 4 for device in (phone, laptop, stream)), "nothing came twice"
    with Device(cluster, bob) as again:
        assert again.reply["data"] == {"unread": 0, "revision": 4}


def counted(device):
    """What a client shows: the count of the newest revision, and one more for each publication after it."""
    newest = device.reads[-1] if device.reads else {"unread": 0, "revision": 0}
    return newest | {"unread": newest["unread"] + len(device.frames) - device.before.get(newest["revision"], 0)}


def test_counts_agree_everywhere_though_batches_are_lost(cluster, person, seed):
    """Half of what is published for one gateway is not heard there: its devices still learn every count within 2 s."""
    bob, chance = person("bob"), random.Random(seed)
    wire = RedisWire(cluster.redis.url.removeprefix("redis://"))
    wire.drop = 0.5
    deaf = cluster.extra("gateway", "gateway-deaf-to-marks", {"REDIS_URL": wire.url})
    try:
        with Device(cluster, bob, cluster.gateways[0]) as phone, Device(cluster, bob, deaf) as laptop, Stream(cluster, bob, deaf) as stream:
            for step in range(12):
                produce(cluster, bob, [str(step)])
                until(lambda: all(len(device.frames) == step + 1 for device in (phone, laptop, stream)),
                      what=lambda: [device.titles for device in (phone, laptop, stream)])
                some = [frame.id for frame in chance.sample(phone.frames, min(3, len(phone.frames)))]
                counts = phone.call(chance.choice(["read", "unread", "archive"]), ids=some)
                began = time.time()
                until(lambda: all(counted(device) == counts for device in (laptop, stream)),
                      what=lambda: f"{counts} at step {step}: {counted(laptop)} {counted(stream)}")
                assert standstill.took(began) < 2, step
            for device in (laptop, stream):
                revisions = [read["revision"] for read in device.reads]
                assert revisions == sorted(set(revisions)), "each once, none older than the one before"
            assert deaf.metrics()["carillon_gateway_gaps_total"] > 0
        assert counts["unread"] == cluster.inbox(bob)["unread"]
        assert audit(cluster, "--user", bob).returncode == 0
    finally:
        deaf.end()
        wire.close()


def test_acks_measure_what_people_wait_for(cluster, person):
    bob = person("bob")
    gateway = cluster.gateways[0]
    names = [f'carillon_{name}_seconds_count{{transport="websocket",client="swift"}}' for name in ("client_delivery", "first_update")]
    before = gateway.metrics()
    with Device(cluster, bob, gateway, name="swift") as device:
        produce(cluster, bob, ["a", "b"])
        frame = device.wait(2)[1]
        epoch, offset = position(frame.cursor)
        assert device.call("ack", epoch=epoch, offset=offset) == {"unread": 2, "revision": 0}
        assert device.call("ack", cursor=frame.cursor) == {"unread": 2, "revision": 0}
    after = gateway.metrics()
    assert [after[name] - before[name] for name in names] == [1, 1]
    produce(cluster, bob, ["c"])
    until(lambda: len(cluster.inbox(bob)["notifications"]) == 3, what="the third")
    body = {"cursor": cluster.inbox(bob)["cursor"]}
    assert http.request("POST", cluster.edge_url + "/v1/inbox/ack", body, cluster.bearer(bob)).json() == {"unread": 3, "revision": 0}
    for body, status in ((b"x", 400), ({"ids": []}, 400), ({"cursor": "1.1-1"}, 200)):
        assert http.request("POST", cluster.edge_url + "/v1/inbox/ack", body, cluster.bearer(bob)).status == status


def test_a_window_and_a_rate_keep_the_order_and_lose_nothing(cluster, person):
    bob, rate = person("bob"), 20
    with Device(cluster, bob) as narrow, Device(cluster, bob) as slow, Device(cluster, bob) as free:
        narrow.call("window", size=5)
        slow.call("rate", perSecond=1)  # it takes a minute to show what the payment passes
        began = time.time()
        titles = [str(number) for number in range(60)]
        produce(cluster, bob, titles)
        free.wait(60)
        assert len(narrow.wait(5)) == 5
        produce(cluster, bob, ["payment"], type="transaction.payment")
        slow.wait_title("payment")
        assert len(slow.frames) < 60, "it did not wait for those before it"
        changed = time.time()
        slow.call("rate", perSecond=rate)
        while len(narrow.frames) < 61:
            known = list(narrow.frames)
            narrow.call("ack", cursor=known[-1].cursor)
            assert len(narrow.wait(len(known) + 1)) <= len(known) + 5
        assert narrow.titles == [*titles, "payment"]
        slow.wait(61)
        assert [title for title in slow.titles if title != "payment"] == titles
        times = [frame.at for frame in slow.frames if frame.notification["title"] != "payment"]
        # What was received by then had been sent by then, however long it was on the way.
        for count, at in enumerate(times, 1):
            assert count <= 1 + min(at, changed) - began + max(0, rate * (at - changed + 1) if at > changed else 0), (count, times)
        produce(cluster, bob, ["after"])
        assert slow.wait(62)[-1].cursor == free.wait(62)[-1].cursor


def test_pauses_lose_nothing_and_show_nothing_twice(cluster, person, seed):
    bob, chance = person("bob"), random.Random(seed)
    with Device(cluster, bob) as tab, Device(cluster, bob) as free:
        shown, number = [], 0
        for turn in range(8):
            tab.call("pause")
            before = len(tab.frames)
            titles = [str(number + step) for step in range(chance.randrange(0, 40))]
            number += len(titles)
            if titles:
                produce(cluster, bob, titles)
                free.wait(number)
            if chance.random() < 0.5:
                free.call("read", cursor=free.cursor)
            page = tab.call("resume")
            # It stands behind the answer, in the same frame.
            until(lambda: len(tab.positions) > turn, what="the position from which it goes on")
            assert tab.positions[-1]["offset"] == position(page["cursor"])[1] == number
            shown += [entry["title"] for entry in page["notifications"]]
            # What came live between the answer and here would have to be behind it.
            more = [str(number + step) for step in range(chance.randrange(0, 5))]
            number += len(more)
            if more:
                produce(cluster, bob, more)
                until(lambda: len(tab.frames) >= before + len(more), what=lambda: f"{more} after {tab.titles}")
            shown += tab.titles[before:]
            assert page["complete"]
        assert shown == [str(each) for each in range(number)]
        assert page["unread"] == cluster.inbox(bob)["unread"] - len(more)


def test_the_audit_finds_no_drift(cluster, person):
    bob = person("bob")
    with Device(cluster, bob) as device:
        produce(cluster, bob, [str(number) for number in range(10)])
        frames = device.wait(10)
        device.call("read", ids=[frame.id for frame in frames[2:5]])
        device.call("archive", ids=[frames[3].id, frames[7].id])
        device.call("unread", ids=[frames[2].id])
        assert device.call("read", cursor=frames[0].cursor)["unread"] == cluster.inbox(bob)["unread"] == 6
    one, all = audit(cluster, "--user", bob), audit(cluster, "--all")
    assert one.returncode == 0 and one.stdout == "" and "1 inboxes, 0 drifts" in one.stderr, one
    assert all.returncode == 0 and all.stdout == "", all
