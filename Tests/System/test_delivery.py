"""An event on Kafka reaches its people: every form in, every path out."""

import hashlib
import json
import signal
import time
import uuid

import pytest

from carillon import http, kafka, standstill
from carillon.clients import Follower, position
from carillon.waiting import until


def message(person, title, **more):
    return kafka.event("message.direct", {"user": person}, title=title, **more)


def notification_id(event):
    """As the contract says: the first 16 bytes of SHA-256(source, 0, event id), as a UUID of version 8."""
    digest = bytearray(hashlib.sha256(event["source"].encode() + b"\0" + event["id"].encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


@pytest.mark.parametrize("binary", [False, True], ids=["structured", "binary"])
def test_kcat_to_websocket_event_stream_and_phone(cluster, person, binary):
    bob, eve, token = person("bob"), person("eve"), ("b0" if binary else "50") * 32
    assert cluster.device(eve, token).status in (200, 201, 204)
    with cluster.websocket(bob) as socket, cluster.event_stream(bob) as stream:
        event = message(bob, "hello", url="/posts/9", actor={"id": "alice", "name": "Alice"}, data={"a": [1, "é"]})
        cluster.produce(event, "events.social", binary=binary)
        frames = [client.wait(1)[0] for client in (socket, stream)]
        assert frames[0].notification == frames[1].notification and frames[0].cursor == frames[1].cursor
        notification = frames[0].notification
        assert notification["id"] == notification_id(event)
        assert notification["type"] == "message.direct" and notification["title"] == "hello" and notification["url"] == "/posts/9"
        assert notification["actor"] == {"id": "alice", "name": "Alice"} and notification["data"] == {"a": [1, "é"]}
        assert notification["body"] == "A body" and notification["priority"] == "normal"
        away = message(eve, "are you there?")
        cluster.produce(away, "events.social", binary=binary)
        pushes = until(lambda: cluster.apns.received(token), what="the push")
        assert pushes[0]["status"] == 200 and pushes[0]["pushType"] == "alert"
        assert pushes[0]["payload"]["aps"]["alert"]["title"] == "are you there?"
        assert notification_id(away) in json.dumps(pushes[0])
    assert len(socket.frames) == len(stream.frames) == 1


def test_a_record_without_a_content_type_is_structured(cluster, person):
    bob = person("bob")
    with cluster.websocket(bob) as client:
        kafka.produce_raw(cluster.broker.address, "events.social", json.dumps(message(bob, "plain kcat")).encode(), key=bob)
        client.wait_title("plain kcat")


def test_how_late_it_is_counts_from_its_record_in_kafka(cluster, person):
    """A service that stands still hides nothing: what waited for it shows at the gateway as late as it was."""
    bob, payments = person("bob"), [f"payment {number}" for number in range(20)]
    name, labels = "carillon_gateway_delivery_delay_seconds", 'priority="high",transport="websocket"'

    def delays():
        found = [gateway.metrics() for gateway in cluster.gateways]
        return [sum(values[series] for values in found) for series in (f"{name}_count{{{labels}}}", f'{name}_bucket{{{labels},le="0.5"}}')]
    with cluster.websocket(bob) as client:
        count, prompt = delays()
        cluster["notification-service"].send(signal.SIGSTOP)
        try:
            kafka.produce(cluster.broker.address, "events.system-tests",
                          [kafka.event("transaction.payment", {"user": bob}, title=title) for title in payments])
            written = time.monotonic()
            until(lambda: time.monotonic() > written + 1, what="a second has passed")
        finally:
            cluster["notification-service"].send(signal.SIGCONT)
        client.wait(20)
        assert client.titles == payments and delays() == [count + 20, prompt]


def test_whoever_is_online_gets_no_push(cluster, person):
    bob, token = person("bob"), "0e" * 32
    cluster.device(bob, token)
    with cluster.websocket(bob) as client:
        cluster.produce(message(bob, "seen"))
        client.wait(1)
        time.sleep(0.5)
        assert cluster.apns.received(token) == []


def test_a_like_is_in_app_only(cluster, person):
    bob, token = person("bob"), "11" * 32
    cluster.device(bob, token)
    cluster.produce(kafka.event("social.like", {"user": bob}, title="liked"))
    cluster.produce(message(bob, "written"))
    pushes = until(lambda: cluster.apns.received(token), what="the push of the message behind it")
    assert [push["payload"]["aps"]["alert"]["title"] for push in pushes] == ["written"]
    assert [entry["title"] for entry in cluster.inbox(bob)["notifications"]] == ["liked", "written"]


@pytest.mark.parametrize("kind", ["websocket", "event_stream", "poll"])
def test_whoever_was_away_gets_what_was_missed_once_and_in_order(cluster, person, kind):
    bob = person("bob")
    connect = getattr(cluster, kind)
    with connect(bob) as client:
        cluster.produce(message(bob, "first"))
        client.wait(1)
        cursor = client.cursor
    titles = [f"missed {number}" for number in range(25)]
    kafka.produce(cluster.broker.address, "events.system-tests", [message(bob, title) for title in titles])
    until(lambda: cluster.inbox(bob)["unread"] == 26, what="all in the inbox")
    with connect(bob, cursor=cursor) as client:
        client.wait(25)
        assert client.recovered is True
        cluster.produce(message(bob, "live"))
        client.wait(26)
        assert client.titles == titles + ["live"]
        offsets = [position(frame.cursor)[1] for frame in client.frames]
        assert offsets == list(range(2, 28))


def test_a_cursor_serves_the_other_transport(cluster, person):
    bob = person("bob")
    with cluster.websocket(bob) as client:
        cluster.produce(message(bob, "one"))
        client.wait(1)
        cursor = client.cursor
    cluster.produce(message(bob, "two"))
    with cluster.event_stream(bob, cursor=cursor) as stream:
        stream.wait(1)
        assert stream.titles == ["two"] and stream.recovered is True
        cursor = stream.cursor
    page = cluster.inbox(bob, after=cursor)
    assert page["notifications"] == [] and page["recovered"] is True and page["cursor"] == cursor


def test_a_newcomer_starts_live_and_reads_the_rest_from_the_inbox(cluster, person):
    bob = person("bob")
    for title in ("one", "two"):
        cluster.produce(message(bob, title))
    until(lambda: len(cluster.inbox(bob)["notifications"]) == 2, what="two in the inbox")
    with cluster.websocket(bob) as client, cluster.event_stream(bob) as stream:
        assert client.recovered is False and stream.greeting == {"recovered": False, "unread": 2}
        cluster.produce(message(bob, "three"))
        assert client.wait(1)[0].notification["title"] == stream.wait(1)[0].notification["title"] == "three"
    page = cluster.inbox(bob, limit=2)
    assert [entry["title"] for entry in page["notifications"]] == ["one", "two"] and page["unread"] == 3
    assert [entry["title"] for entry in cluster.inbox(bob, after=page["cursor"])["notifications"]] == ["three"]


@pytest.mark.parametrize("cursor", ["1.1-1", "2.whatever", "1.99999999999999-5", f"1.{2**64 - 1}-{2**64 - 1}"])
def test_a_cursor_that_cannot_be_recovered_is_said_to_be_so(cluster, person, cursor):
    bob = person("bob")
    cluster.produce(message(bob, "one"))
    until(lambda: cluster.inbox(bob)["unread"] == 1, what="one in the inbox")
    with cluster.event_stream(bob, cursor=cursor) as stream:
        assert stream.recovered is False and stream.frames == []
        cluster.produce(message(bob, "two"))
        assert stream.wait(1)[0].notification["title"] == "two"


def test_the_same_event_twice_arrives_once(cluster, person):
    bob = person("bob")
    event = message(bob, "once")
    with cluster.websocket(bob) as client:
        for _ in range(3):
            cluster.produce(event)
        cluster.produce(message(bob, "behind"))
        client.wait_title("behind")
        assert client.titles == ["once", "behind"]


def test_many_devices_of_one_person(cluster, person):
    bob = person("bob")
    first, second = cluster.gateways[:2]
    clients = [cluster.websocket(bob, first, device="phone"), cluster.websocket(bob, second, device="laptop"),
               cluster.event_stream(bob, first), cluster.event_stream(bob, second)]
    cluster.produce(message(bob, "to all"))
    for client in clients:
        assert client.wait(1)[0].notification["title"] == "to all"
        client.close()


def test_users_and_the_actor(cluster, person):
    people = [person(name) for name in ("alice", "bob", "carol")]
    clients = [cluster.websocket(name) for name in people]
    cluster.produce(kafka.event("social.mention", {"users": people}, title="meet", actor=people[0]))
    for client in clients[1:]:
        client.wait_title("meet")  # another key than the next ones': Kafka promises no order among them
    for name in people:
        cluster.produce(message(name, "behind"))
    for client in clients:
        client.wait_title("behind")
    assert [client.titles for client in clients] == [["behind"], ["meet", "behind"], ["meet", "behind"]]
    for client in clients:
        client.close()


def test_a_channel_reaches_its_members_but_the_actor(cluster, person):
    channel, people = person("general"), [person(name) for name in ("alice", "bob", "carol", "dave")]
    token = "c4" * 32
    cluster.device(people[3], token)
    assert cluster.members("channel:" + channel, people).json() == {"count": 4}
    clients = [cluster.websocket(name) for name in people[:3]]
    cluster.produce(kafka.event("channel.post", {"channel": channel}, title="news", actor={"id": people[0]}, channel=channel))
    for client in clients[1:]:
        assert client.wait(1)[0].notification["title"] == "news"
    until(lambda: cluster.apns.received(token), what="the push to the member who is offline")
    assert clients[0].frames == []
    assert cluster.members("channel:" + channel, [people[1]], "DELETE").json() == {"count": 3}
    cluster.produce(kafka.event("channel.post", {"channel": channel}, title="more", actor={"id": people[0]}))
    clients[2].wait_title("more")
    cluster.produce(message(people[1], "behind"))
    clients[1].wait_title("behind")
    assert clients[1].titles == ["news", "behind"]
    for client in clients:
        client.close()


def test_a_channel_of_three_thousand(cluster, person):
    """More members than one page of the walk; whoever is connected gets it once, whoever is not has it in the inbox."""
    channel, crowd = person("crowd"), [person(f"{number:04}") for number in range(3000)]
    for begin in range(0, 3000, 1000):
        assert cluster.members("channel:" + channel, crowd[begin:begin + 1000]).status == 200
    clients = [cluster.websocket(crowd[number]) for number in (0, 999, 1000, 1001, 2999)]
    for title in ("first", "second"):
        cluster.produce(kafka.event("channel.post", {"channel": channel}, title=title), key=channel)
    for client in clients:
        client.wait(2)
        assert client.titles == ["first", "second"]
        client.close()
    until(lambda: all(cluster.inbox(crowd[number])["unread"] == 2 for number in (1, 500, 1998, 2500)), what="the others' inboxes")


def test_a_trace_goes_with_it(cluster, person):
    bob, trace = person("bob"), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    kafka.produce_raw(cluster.broker.address, "events.social", json.dumps(message(bob, "traced")).encode(), key=bob,
                      headers=[f"content-type={kafka.STRUCTURED}", f"traceparent={trace}"])
    until(lambda: cluster.inbox(bob)["unread"] == 1, what="it is in the inbox")
    records = [record for record in kafka.records(cluster.broker.address, "notifications.normal") if record["key"] == bob]
    assert records[0]["headers"]["traceparent"] == trace
    record = json.loads(records[0]["value"])
    assert record["v"] == 1 and abs(record["accepted"] - time.time() * 1000) < 60_000 and record["audience"] == {"user": bob}


def test_priorities_have_lanes_of_their_own(cluster, person):
    bob = person("bob")
    with cluster.websocket(bob) as client:
        for kind, priority in (("transaction.payment", "high"), ("message.direct", "normal"), ("marketing.offer", "low")):
            cluster.produce(kafka.event(kind, {"user": bob}, title=priority))
        client.wait(3)
        assert {frame.notification["title"]: frame.notification["priority"] for frame in client.frames} == {
            "high": "high", "normal": "normal", "low": "low"}
    for lane in ("high", "normal", "low"):
        keys = {record["key"] for record in kafka.records(cluster.broker.address, f"notifications.{lane}")}
        assert bob in keys


def test_post_an_event(cluster, person):
    bob = person("bob")
    with cluster.websocket(bob) as client:
        event = message(bob, "by HTTP")
        assert cluster.post(event).status == 202
        assert client.wait(1)[0].id == notification_id(event)
        assert cluster.post(event).status == 202  # the same once more: accepted, and shown once
        cluster.post(message(bob, "behind"))
        client.wait_title("behind")
        assert len(client.frames) == 2
    record = [found for found in kafka.records(cluster.broker.address, "events.message") if event["id"] in found["value"]][0]
    assert record["key"] == bob


@pytest.mark.parametrize("body, status, problem", [
    (b"no json", 400, "not_json"), (b"[]", 400, "not_cloudevents"), ({"specversion": "1.0"}, 400, "not_cloudevents"),
    (kafka.event("dlq.x", {"user": "b"}), 400, "unknown_type"),
    (kafka.event("message.direct", {}), 400, "invalid_data"),
    (kafka.event("message.direct", {"users": ["b"], "user": "c"}), 400, "invalid_data"),
    (kafka.event("message.direct", {"user": "b"}) | {"time": "2020-01-01T00:00:00Z"}, 400, "too_old"),
    (kafka.event("message.direct", {"user": "b"}, body="x" * 300_000), 413, "too_large"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_no_event_is_refused_over_http(cluster, body, status, problem):
    """With the name that its dead letter would have."""
    answer = cluster.post(body)
    assert answer.status == status and answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.problem == problem


def test_an_event_needs_the_key(cluster):
    for headers in ({}, {"X-API-Key": "wrong-key-wrong-key"}):
        answer = http.request("POST", cluster.edge_url + "/v1/events", {}, headers)
        assert answer.status == 401 and answer.problem == "api_key_invalid"


def test_a_topic_made_after_the_start_is_read_from_its_first_record(cluster, person):
    bob = person("bob")
    topic = "events." + bob[-40:]
    with cluster.websocket(bob) as client:
        began = time.time()
        cluster.produce(message(bob, "the first record"), topic)
        client.wait(1)
        assert standstill.took(began, client.frames[0].at) < 10
        cluster.produce(message(bob, "the second"), topic)
        client.wait(2)
        assert client.titles == ["the first record", "the second"]


def test_what_is_past_its_time_to_live_disturbs_nobody(cluster, person):
    bob = person("bob")
    with cluster.websocket(bob) as client:
        cluster.produce(message(bob, "too late", ttlSeconds=60, _time="2026-01-01T00:00:00Z") | {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 120))})
        cluster.produce(message(bob, "in time", ttlSeconds=60))
        client.wait_title("in time")
        assert client.titles == ["in time"]


def test_order_and_once_for_a_burst_with_cuts(cluster, person):
    """400 events while the client's connection is cut five times, on both transports."""
    bob = person("bob")
    followers = [Follower(lambda cursor: cluster.websocket(bob, cursor=cursor)),
                 Follower(lambda cursor: cluster.event_stream(bob, cursor=cursor))]
    flow = kafka.Flow(cluster.broker.address, "events.system-tests")
    titles = [f"{number}" for number in range(400)]
    for begin in range(0, 400, 80):
        flow.write([message(bob, title) for title in titles[begin:begin + 80]])
        for follower in followers:
            follower.wait(begin + 20)
            follower.drop()
    flow.close()
    for follower in followers:
        follower.wait(400)
        follower.stop()
        assert follower.titles == titles and follower.repeated == [] and follower.unrecovered == 0
        assert follower.connections > 3
