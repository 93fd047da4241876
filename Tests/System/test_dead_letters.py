"""What cannot be delivered is kept with its reason, once, and holds nothing up."""

import hashlib
import json
import time
import uuid

import pytest

from carillon import kafka
from carillon.waiting import until

TOPIC = "events.dead-letter-tests"


def letters(cluster, mark, topic="events.dlq"):
    return [record for record in cluster.dead_letters(topic) if mark in (record["value"] or "") or mark in (record["key"] or "")]


def letter(cluster, mark, topic="events.dlq", timeout=90):
    until(lambda: letters(cluster, mark, topic), timeout, f"a dead letter with {mark}")
    return letters(cluster, mark, topic)[0]


def test_one_malformed_event_is_exactly_one_dead_letter_and_holds_nothing_up(cluster, person):
    bob, mark = person("bob"), kafka.identity()
    with cluster.websocket(bob) as client:
        began = time.monotonic()
        kafka.produce_raw(cluster.broker.address, TOPIC, f'{{"broken": "{mark}'.encode(), key=bob)
        kafka.produce(cluster.broker.address, TOPIC, [kafka.event("message.direct", {"user": bob}, title="behind it")], key=bob)
        client.wait_title("behind it")
        found = letter(cluster, mark)
        time.sleep(max(0, 10 - (time.monotonic() - began)))
    assert len(letters(cluster, mark)) == 1
    assert found["value"] == f'{{"broken": "{mark}' and found["key"] == bob
    headers = found["headers"]
    assert headers["dlq-reason"] == "not_json" and headers["dlq-topic"] == TOPIC
    assert int(headers["dlq-offset"]) >= 0 and int(headers["dlq-partition"]) >= 0 and int(headers["dlq-attempts"]) >= 1
    assert headers["dlq-at"] and headers["dlq-detail"]


BAD = {
    "no-cloudevent": ({"hello": "MARK"}, "not_cloudevents"),
    "unknown-type": (kafka.event("no.such.type", {"user": "b"}, id="MARK"), "unknown_type"),
    "no-audience": (kafka.event("message.direct", {}, id="MARK"), "invalid_data"),
    "person-with-a-brace": (kafka.event("message.direct", {"user": "a{b"}, id="MARK"), "invalid_data"),
    "followers-are-later": (kafka.event("message.direct", {"followersOf": "a"}, id="MARK"), "invalid_data"),
    "too-many-users": (kafka.event("message.direct", {"users": [f"u{number}" for number in range(1001)]}, id="MARK"), "invalid_data"),
    "too-old": (kafka.event("message.direct", {"user": "b"}, id="MARK") | {"time": "2020-01-01T00:00:00Z"}, "too_old"),
}


@pytest.mark.parametrize("name", BAD)
def test_reasons(cluster, name):
    event, reason = BAD[name]
    mark = kafka.identity()
    body = json.dumps(event).replace("MARK", mark)
    kafka.produce_raw(cluster.broker.address, TOPIC, body.encode(), key="k", headers=[f"content-type={kafka.STRUCTURED}"])
    found = letter(cluster, mark)
    assert found["headers"]["dlq-reason"] == reason
    assert found["value"] == body
    assert found["headers"]["content-type"] == kafka.STRUCTURED


def test_a_record_of_two_megabytes_leaves_its_beginning(cluster, person):
    bob, mark = person("bob"), kafka.identity()
    record = json.dumps(kafka.event("message.direct", {"user": bob}, id=mark, title="big", body="x" * 2_000_000)).encode()
    with cluster.websocket(bob) as client:
        kafka.produce_raw(cluster.broker.address, TOPIC, record, key=bob, headers=[f"content-type={kafka.STRUCTURED}"],
                          properties=["message.max.bytes=4000000"])
        kafka.produce(cluster.broker.address, TOPIC, [kafka.event("message.direct", {"user": bob}, title="behind it")], key=bob)
        client.wait_title("behind it")
        assert client.titles == ["behind it"]
    found = letter(cluster, mark)
    assert found["headers"]["dlq-reason"] == "too_large" and int(found["headers"]["dlq-length"]) == len(record)
    assert found["value"].encode() == record[:65536]
    assert found["headers"]["dlq-sha256"] == hashlib.sha256(record).hexdigest()


def test_a_megabyte_of_headers_or_of_key_leaves_what_fits(cluster, person):
    """Of as many bytes as a producer sends at most; with what a dead letter adds it would be over that."""
    bob, mark = person("bob"), kafka.identity()
    headers = [f"h{number}={'x' * 124_900}" for number in range(8)]
    kafka.produce_raw(cluster.broker.address, TOPIC, f"not json {mark}".encode(), key="k", headers=headers)
    found = letter(cluster, mark)
    assert found["headers"]["dlq-reason"] == "not_json" and found["headers"]["h0"] == "x" * 1024
    assert found["headers"]["dlq-headers-length"] == str(8 * (2 + 124_900)) and found["headers"]["dlq-headers-count"] == "8"
    # A valid post: its notification would be written under its key.
    post = json.dumps(kafka.event("channel.post", {"channel": mark}, id=f"post-{mark}"))
    kafka.kcat(cluster.broker.address, "-P", "-t", TOPIC, "-K", "\x1f", "-X", "message.max.bytes=4000000",
               input=f"{'k' * 1_000_000}\x1f{post}".encode())
    found = letter(cluster, f"post-{mark}")
    assert found["headers"]["dlq-reason"] == "too_large" and found["headers"]["dlq-key-length"] == "1000000"
    assert found["value"] == post and found["key"] == "k" * 4096
    with cluster.websocket(bob) as client:
        kafka.produce(cluster.broker.address, TOPIC, [kafka.event("message.direct", {"user": bob}, title="behind them")], key="k")
        client.wait_title("behind them")


def test_the_dead_letters_are_not_read_as_events(cluster):
    mark = kafka.identity()
    kafka.produce_raw(cluster.broker.address, "events.dlq", f"not an event {mark}".encode())
    time.sleep(2)
    assert len(letters(cluster, mark)) == 1
    assert not [record for record in cluster.dead_letters() if record["headers"].get("dlq-topic") == "events.dlq"]


def test_without_credentials_a_push_is_a_dead_letter(cluster, person, tmp_path):
    """A push-service of its own namespace, so that it takes nothing from the others."""
    service = cluster.extra("push-service", "without-credentials", {
        "NAMESPACE": "nocredentials", "APNS_KEY_FILE": "", "APNS_KEY_ID": "", "APNS_TEAM_ID": "", "APNS_URL": "", "APNS_CA_FILE": "",
        "APNS_TOPIC": ""})
    try:
        mark = str(uuid.uuid4())
        record = {"v": 1, "person": "bob", "offset": 1, "epoch": "1", "reason": "offline", "accepted": int(time.time() * 1000),
                  "notification": {"id": mark, "type": "message.direct", "priority": "normal", "title": "x", "body": "y"}}
        topic = "nocredentials.push.normal"
        kafka.produce_raw(cluster.broker.address, topic, json.dumps(record).encode(), key="bob")
        found = letter(cluster, mark, "nocredentials.push.dlq", timeout=120)
        assert found["headers"]["dlq-reason"] == "no_credentials" and found["headers"]["dlq-topic"] == topic
    finally:
        service.end()
