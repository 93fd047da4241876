"""Audiences, presence and devices, as a backend and an app use them."""

import pytest

from carillon import http
from carillon.waiting import until


def members(cluster, audience, after=None, limit=None):
    query = "&".join(f"{name}={value}" for name, value in (("after", after), ("limit", limit)) if value is not None)
    url = f"{cluster.edge_url}/v1/audiences/{http.quote(audience)}/members" + ("?" + query if query else "")
    return http.request("GET", url, headers=cluster.key).json()


def test_members_come_and_go(cluster, person):
    audience = "channel:" + person("team")
    assert cluster.members(audience, ["bob", "carol"]).json() == {"count": 2}
    assert cluster.members(audience, ["carol", "dave"]).json() == {"count": 3}
    assert members(cluster, audience)["members"] == ["bob", "carol", "dave"]
    assert cluster.members(audience, ["carol", "nobody"], "DELETE").json() == {"count": 2}
    assert members(cluster, audience)["members"] == ["bob", "dave"]


def test_members_are_paged(cluster, person):
    audience = "channel:" + person("crowd")
    names = sorted(f"member-{number:04}" for number in range(1500))
    cluster.members(audience, names[:1000])
    assert cluster.members(audience, names[1000:]).json() == {"count": 1500}
    found, after = [], None
    for _ in range(10):
        page = members(cluster, audience, after and http.quote(after), 400)
        found += page["members"]
        after = page.get("next")
        if not after:
            break
    assert found == names


@pytest.mark.parametrize("audience, body, status", [
    ("channel:x", {"members": ["a{b"]}, 400), ("channel:x", {"members": "bob"}, 400), ("channel:x", b"rubbish", 400),
    ("channel:x", {"members": [f"u{number}" for number in range(1001)]}, 400), ("nothing:x", {"members": ["bob"]}, 400),
])
def test_bad_members_are_refused(cluster, audience, body, status):
    answer = http.request("PUT", f"{cluster.edge_url}/v1/audiences/{http.quote(audience)}/members", body, cluster.key)
    assert answer.status == status and answer.problem == "invalid_request"


def test_members_need_the_key(cluster):
    assert http.request("GET", f"{cluster.edge_url}/v1/audiences/channel%3Ax/members").status == 401
    assert http.request("GET", f"{cluster.edge_url}/v1/presence?user=a").status == 401


def test_presence_in_one_call_and_in_order(cluster, person):
    alice, bob, carol = (person(name) for name in ("alice", "bob", "carol"))
    with cluster.websocket(bob), cluster.event_stream(bob), cluster.websocket(carol):
        def online():
            return cluster.online(carol, alice, bob) == [
                {"user": carol, "online": True, "connections": 1}, {"user": alice, "online": False, "connections": 0},
                {"user": bob, "online": True, "connections": 2}]
        until(online, what=lambda: cluster.online(carol, alice, bob))
    until(lambda: not any(user["online"] for user in cluster.online(alice, bob, carol)), what="all gone again")


def test_devices_are_registered_listed_and_removed(cluster, person):
    bob, token = person("bob"), "de1e7e" * 10
    assert cluster.device(bob, token).status in (200, 201, 204)
    listed = cluster.device(bob, token, "GET").json()
    entries = listed["devices"] if isinstance(listed, dict) else listed
    assert [entry["token"] for entry in entries] == [token] and entries[0]["platform"] == "apns"
    assert cluster.device(bob, token, "DELETE").status in (200, 204)
    listed = cluster.device(bob, token, "GET").json()
    assert (listed["devices"] if isinstance(listed, dict) else listed) == []


def test_a_device_belongs_to_whoever_registered_it_last(cluster, person):
    bob, carol, token = person("bob"), person("carol"), "0a0b" * 16
    cluster.device(bob, token)
    cluster.device(carol, token)

    def devices(name):
        listed = cluster.device(name, token, "GET").json()
        return [entry["token"] for entry in (listed["devices"] if isinstance(listed, dict) else listed)]
    assert devices(bob) == [] and devices(carol) == [token]


@pytest.mark.parametrize("body", [b"rubbish", {"token": "x"}, {"token": "", "platform": "apns", "app": "a", "environment": "sandbox"},
                                  {"token": "x", "platform": "pager", "app": "a", "environment": "sandbox"}])
def test_a_bad_device_is_refused(cluster, person, body):
    answer = http.request("PUT", cluster.edge_url + "/v1/devices", body, cluster.bearer(person("bob")))
    assert answer.status == 400 and answer.problem == "invalid_request"
