"""Logout, rotation of keys, and pages of other origins, through the edge and on more than one gateway."""

import subprocess
import time

import pytest

from carillon import http, kafka, standstill
from carillon.clients import EventStream, Refused, WebSocket
from carillon.cluster import ALLOWED_ORIGIN
from carillon.keys import IssuerKey, publish
from carillon.servers import binaries
from carillon.waiting import until


def refused(make):
    with pytest.raises(Refused) as refusal:
        make()
    return refusal.value


def all_are_alive(cluster):
    """No gateway that an earlier test has killed is still told of revocations."""
    names = {gateway.name for gateway in cluster.gateways}
    until(lambda: {name.partition("#")[0] for name in cluster.redis.ask("HKEYS", "gateways")} == names, what="the dead are swept")


def revoke(cluster, **order):
    return http.request("POST", cluster.edge_url + "/v1/revocations", order, cluster.key)


def test_a_logout_closes_everywhere_within_a_second(cluster, person):
    all_are_alive(cluster)
    bob, now = person("bob"), int(time.time())
    claims = {"jti": person("token"), "iat": now}
    lost = [cluster.websocket(bob, gateway, **claims) for gateway in cluster.gateways]
    lost += [cluster.event_stream(bob, gateway, **claims) for gateway in cluster.gateways]
    with cluster.websocket(bob, cluster.gateways[1], jti=person("other"), iat=now) as other:
        began = time.time()
        answer = revoke(cluster, jti=claims["jti"])
        assert answer.status == 200 and answer.json()["heard"] == answer.json()["gateways"] >= 2
        for client in lost:
            client.wait_closed()
        assert standstill.took(began) < 1
        assert [client.code for client in lost[:2]] == [3500, 3500]
        assert refused(lambda: cluster.websocket(bob, **claims)).code == 3500
        assert refused(lambda: cluster.event_stream(bob, **claims)).code == 401
        bearer = {"Authorization": "Bearer " + cluster.token(bob, **claims)}
        for method, path in (("POST", "/v1/connect"), ("GET", "/v1/inbox"), ("GET", "/v1/devices"), ("GET", "/connection/poll")):
            answer = http.request(method, cluster.edge_url + path, headers=bearer)
            assert answer.status == 401 and answer.problem == "token_revoked", path
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="to who is left"))
        other.wait_title("to who is left")


def test_the_tool_revokes_a_person(cluster, person):
    all_are_alive(cluster)
    bob, ann = person("bob"), person("ann")
    with cluster.websocket(ann, cluster.gateways[0], iat=int(time.time())) as bystander:
        lost = [cluster.websocket(bob, gateway, iat=int(time.time()) - 5) for gateway in cluster.gateways]
        done = subprocess.run([binaries() / "carillonctl", "revoke", "--user", bob], capture_output=True, text=True,
                              env={"EDGE_URL": cluster.edge_url, "API_KEY": cluster.api_key}, timeout=120)
        assert done.returncode == 0 and "gateways were told at once" in done.stdout, done
        for client in lost:
            client.wait_closed()
            assert client.code == 3500
        assert not bystander.closed.is_set()
    # Who logs in again is welcome, from the next second on.
    with cluster.websocket(bob, iat=int(time.time()) + 2):
        pass


def test_who_may_revoke(cluster):
    answer = http.request("POST", cluster.edge_url + "/v1/revocations", {"jti": "a"}, {"X-API-Key": "not-the-right-key"})
    assert answer.status == 401 and answer.problem == "api_key_invalid"
    assert revoke(cluster).problem == "invalid_request"


@pytest.fixture
def keyed(cluster, tmp_path):
    """A gateway whose tokens' keys lie in a file; the keys are the test's to publish."""
    first = IssuerKey(tmp_path, "spring", "RS256")
    publish(tmp_path / "keys.json", first)
    gateway = cluster.extra("gateway", "gateway-keyed", {"JWKS_FILE": tmp_path / "keys.json"})
    yield gateway, tmp_path / "keys.json", first
    gateway.end()


def test_keys_rotate_while_running(cluster, keyed, person):
    gateway, path, first = keyed
    bob, second = person("bob"), IssuerKey(path.parent, "autumn", "ES256")
    url = gateway.url.replace("http", "ws", 1) + "/connection/websocket"

    def status(key):
        return http.request("GET", gateway.url + "/v1/inbox", headers={"Authorization": "Bearer " + key.token(bob)}).status
    with WebSocket(url, token=first.token(bob)) as client:
        stranger = refused(lambda: WebSocket(url, token=second.token(bob)))
        assert stranger.code == 3500 and "kid names no key" in stranger.reason
        publish(path, first, second)
        until(lambda: status(second) == 200, what="the new key is taken")
        assert status(first) == 200
        half = path.with_suffix(".half")
        half.write_text('{"keys": [')  # an editor's half of a file, read once
        half.replace(path)
        until(lambda: gateway.metrics()['carillon_key_file_reads_total{result="refused"}'] == 1, what="the bad file is read")
        assert status(first) == status(second) == 200
        publish(path, second)
        until(lambda: status(first) == 401, what="the old key is gone")
        client.send({"id": 2, "refresh": {"token": second.token(bob)}})
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="still here"))
        client.wait_title("still here")
        assert not client.closed.is_set()
    with EventStream(gateway.url + "/connection/sse", token=second.token(bob)):
        pass
    log = gateway.output()
    assert log.count("the key file is not taken") == 1 and "cause=unknown_key" in log and "autumn" not in log


PATHS = [("GET", "/connection/websocket"), ("GET", "/connection/sse"), ("GET", "/connection/poll"), ("POST", "/v1/connect"),
         ("GET", "/v1/inbox"), ("POST", "/v1/inbox/ack"), ("POST", "/v1/events"), ("GET", "/v1/presence"), ("GET", "/v1/devices"),
         ("PUT", "/v1/audiences/channel%3Aa/members")]


@pytest.mark.parametrize("method, path", PATHS)
def test_preflight(cluster, method, path):
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,if-match,last-event-id,sentry-trace"}
    answer = http.request("OPTIONS", cluster.edge_url + path, headers=asked | {"Origin": ALLOWED_ORIGIN})
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED_ORIGIN
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    # What a page's own tools add (tracing, say) is allowed as well: exactly what it asked for.
    assert answer.headers["Access-Control-Allow-Headers"].split(", ") == asked["Access-Control-Request-Headers"].split(",")
    assert "Origin" in ", ".join(answer.headers.get_all("Vary"))
    for origin in ("https://evil.example", "null", ALLOWED_ORIGIN + ".evil"):
        for sent, headers in (("OPTIONS", asked), (method, {})):
            answer = http.request(sent, cluster.edge_url + path, b"" if sent == "POST" else None, headers | {"Origin": origin})
            assert answer.status == 403 and answer.problem == "origin_not_allowed", (sent, origin)
            assert "Access-Control-Allow-Origin" not in answer.headers


def test_answers_can_be_read_by_a_listed_page(cluster, person):
    for headers, status in ((cluster.bearer(person("bob")), 200), ({}, 401)):
        answer = http.request("GET", cluster.edge_url + "/v1/inbox", headers=headers | {"Origin": ALLOWED_ORIGIN})
        assert answer.status == status and answer.headers["Access-Control-Allow-Origin"] == ALLOWED_ORIGIN
    own = http.request("GET", cluster.edge_url + "/v1/inbox", headers=cluster.bearer(person("bob")) | {"Origin": cluster.edge_url})
    assert own.status == 200 and "Access-Control-Allow-Origin" not in own.headers
