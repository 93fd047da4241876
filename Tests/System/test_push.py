"""Push: what the provider refuses for good, what it may take later, what it gets twice."""

import pytest

from carillon import kafka
from carillon.waiting import until


def send(cluster, person, title):
    cluster.produce(kafka.event("message.direct", {"user": person}, title=title))


def accepted(cluster, token):
    return [push["payload"]["aps"]["alert"]["title"] for push in cluster.apns.received(token) if push["status"] == 200]


def listed(cluster, person):
    answer = cluster.device(person, "", "GET").json()
    return [entry["token"] for entry in (answer["devices"] if isinstance(answer, dict) else answer)]


def test_every_device_of_a_person(cluster, person):
    bob, tokens = person("bob"), ["a1" * 31 + "01", "a1" * 31 + "02"]
    for token in tokens:
        cluster.device(bob, token)
    send(cluster, bob, "to both")
    for token in tokens:
        until(lambda: accepted(cluster, token) == ["to both"], what="the push")


def test_a_token_that_is_unregistered_goes(cluster, person):
    bob = person("bob")
    cluster.device(bob, "dead" + "1" * 60)
    cluster.device(bob, "a2" * 32)
    send(cluster, bob, "one")
    until(lambda: accepted(cluster, "a2" * 32) == ["one"], what="the push to the other device")
    until(lambda: listed(cluster, bob) == ["a2" * 32], what=lambda: f"the dead token gone: {listed(cluster, bob)}")


def test_a_token_registered_after_apple_saw_it_go_stays(cluster, person):
    bob, token = person("bob"), "deadold" + "1" * 57
    cluster.device(bob, token)
    send(cluster, bob, "one")
    until(lambda: cluster.apns.received(token), what="the attempt")
    cluster.device(bob, "a3" * 32)
    send(cluster, bob, "two")
    until(lambda: accepted(cluster, "a3" * 32) == ["two"], what="the next push")
    assert token in listed(cluster, bob)


@pytest.mark.parametrize("fault", [
    {"kind": "status", "status": 503, "reason": "ServiceUnavailable"}, {"kind": "status", "status": 500},
    {"kind": "goaway"}, {"kind": "reset"}, {"kind": "lost"},
], ids=lambda fault: fault.get("reason") or str(fault.get("status", fault["kind"])))
def test_what_may_pass_is_tried_again_under_the_same_id(cluster, person, fault):
    bob, token = person("bob"), f"{abs(hash(str(fault))) % 10**9:09d}" * 4
    cluster.device(bob, token)
    cluster.apns.fault(count=2, prefix=token, **fault)
    send(cluster, bob, "insistent")
    until(lambda: "insistent" in accepted(cluster, token), what="the push in the end")
    seen = cluster.apns.received(token)
    assert len({push["apnsId"] for push in seen}) == 1 and len({push["collapseId"] for push in seen}) == 1


def test_a_provider_token_that_is_refused_as_stale_is_made_anew(cluster, person):
    bob, token = person("bob"), "a4" * 32
    cluster.device(bob, token)
    cluster.apns.fault(count=1, prefix=token, kind="status", status=403, reason="ExpiredProviderToken")
    send(cluster, bob, "after the refresh")
    until(lambda: accepted(cluster, token) == ["after the refresh"], what="the push")


@pytest.mark.parametrize("status, reason, letter", [(413, "PayloadTooLarge", "too_large"), (400, "BadTopic", "rejected_by_provider")])
def test_a_push_that_is_refused_for_good_is_a_dead_letter(cluster, person, status, reason, letter):
    bob, token = person("bob"), f"{status}" * 12
    cluster.device(bob, token)
    cluster.apns.fault(count=1, prefix=token, kind="status", status=status, reason=reason)
    mark = kafka.identity()
    send(cluster, bob, mark)
    found = until(lambda: [record for record in cluster.dead_letters("push.dlq") if mark in record["value"]], what="the dead letter")
    assert found[0]["headers"]["dlq-reason"] == letter and found[0]["key"] == bob


def test_a_long_body_is_cut_to_fit(cluster, person):
    bob, token = person("bob"), "a5" * 32
    cluster.device(bob, token)
    cluster.produce(kafka.event("message.direct", {"user": bob}, title="long", body="é" * 20_000))
    until(lambda: accepted(cluster, token) == ["long"], what=lambda: cluster.apns.received(token))
