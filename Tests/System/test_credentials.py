"""Tokens and tickets: the good, the expired, the forged, the used."""

import json
import socket
import time

import pytest

from carillon import http, kafka, tokens
from carillon.clients import EventStream, Refused, WebSocket
from carillon.waiting import stays


def websocket_url(cluster, person="x"):
    return cluster.edge_url.replace("http", "ws", 1) + f"/connection/websocket?u={person}"


def tampered(token):
    head, body, signature = token.split(".")
    return f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


BAD_TOKENS = {
    "expired": (lambda cluster: cluster.token("bob", seconds=-40), 109, "token_expired"),
    "forged": (lambda cluster: tampered(cluster.token("bob")), 3500, "token_invalid"),
    "other-secret": (lambda cluster: tokens.mint("another-secret-another-secret-another", "bob"), 3500, "token_invalid"),
    "alg-none": (lambda cluster: tokens.mint("", "bob", algorithm="none"), 3500, "token_invalid"),
    "no-jwt": (lambda cluster: "rubbish", 3500, "token_invalid"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token(cluster, name):
    make, code, problem = BAD_TOKENS[name]
    with pytest.raises(Refused) as refusal:
        WebSocket(websocket_url(cluster), token=make(cluster))
    assert refusal.value.code == code
    for method, path in (("POST", "/v1/connect"), ("GET", "/v1/inbox"), ("GET", "/v1/devices"), ("GET", "/connection/sse")):
        answer = http.request(method, cluster.edge_url + path, headers={"Authorization": "Bearer " + make(cluster)})
        assert answer.status == 401 and answer.problem == problem, (path, answer)
        assert answer.json().get("detail"), "in words what was wrong"


def test_without_a_token(cluster):
    for method, path in (("POST", "/v1/connect"), ("GET", "/v1/inbox"), ("PUT", "/v1/devices"), ("GET", "/connection/sse")):
        answer = http.request(method, cluster.edge_url + path, b"" if method != "GET" else None)
        assert answer.status == 401 and answer.problem == "token_invalid", (path, answer)
    with pytest.raises(Refused) as refusal:
        WebSocket(websocket_url(cluster))
    assert refusal.value.code in (3500, 3501)


@pytest.mark.parametrize("sent", ["rubbish", '{"id":1', '{"id":1,"connect":[]}', "[]", '{"connect":{"token":7}}'])
def test_garbage_is_disconnected(cluster, sent):
    client = WebSocket(websocket_url(cluster), connect=False)
    client.socket.send(sent)
    code = closed_code(client)
    assert code == 3501


def closed_code(client):
    import websockets.exceptions
    try:
        while True:
            client.socket.recv(timeout=60)
    except websockets.exceptions.ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


def test_a_second_connect_is_disconnected(cluster, person):
    client = cluster.websocket(person("bob"))
    client.send({"id": 2, "connect": {"token": cluster.token(person("bob"))}})
    client.wait_closed()
    assert client.code == 3501


def test_a_binary_or_unmasked_frame_breaks_only_its_own_connection(cluster, person):
    bob = person("bob")
    with cluster.websocket(bob, cluster.gateways[0]) as bystander:
        for frame in (b"\x81\x02{}", b"\xff\xff\xff\xff", b"\x83\x80abcd", b"\x81\xff" + b"\xff" * 8 + b"mask"):
            with socket.create_connection(("127.0.0.1", cluster.gateways[0].port), 60) as raw:
                raw.sendall(b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
                assert raw.recv(4096).startswith(b"HTTP/1.1 101")
                raw.sendall(frame)
                while raw.recv(4096):
                    pass
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="still here"))
        bystander.wait_title("still here")


def connect(cluster, person, query=""):
    answer = http.request("POST", cluster.edge_url + "/v1/connect" + query, b"", cluster.bearer(person))
    assert answer.status == 200, answer
    return answer.json()


def local(cluster, url):
    """The URL as it stands, or on the edge if it is a path."""
    return url if "://" in url else cluster.edge_url + url


def test_a_ticket_opens_one_websocket(cluster, person):
    bob = person("bob")
    ticket = connect(cluster, bob)
    assert set(ticket) >= {"ticket", "websocket", "sse", "retry"} and ticket["retry"] >= 1000
    assert f"ticket={ticket['ticket']}" in ticket["websocket"] and "u=" in ticket["websocket"]
    url = local(cluster, ticket["websocket"]).replace("http", "ws", 1) if "://" not in ticket["websocket"] else ticket["websocket"]
    with WebSocket(url) as client:
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="by ticket"))
        client.wait_title("by ticket")
    with pytest.raises(Refused) as refusal:
        WebSocket(url)
    assert refusal.value.code in (401, 3500)


def test_a_ticket_serves_an_event_source_again_and_again(cluster, person):
    bob = person("bob")
    url = local(cluster, connect(cluster, bob)["sse"])
    with EventStream(url) as stream:
        assert stream.greeting == {"recovered": False, "unread": 0}
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="one"))
        stream.wait(1)
        cursor = stream.cursor
        again = EventStream(url, cursor=cursor)  # closes the connection before it
        stream.wait_closed()
    with again:
        assert again.recovered is True
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="two"))
        again.wait(1)
        assert again.titles == ["two"]
        cursor = again.cursor
    with EventStream(url + f"&last_event_id={cursor}") as third:
        assert third.recovered is True
    with pytest.raises(Refused) as refusal:
        EventStream(url)  # no cursor: this is not that EventSource coming back
    assert refusal.value.code == 401


def test_a_made_up_ticket(cluster):
    for path in ("/connection/sse", "/connection/websocket"):
        with pytest.raises(Refused) as refusal:
            if path.endswith("sse"):
                EventStream(cluster.edge_url + path + "?ticket=madeup")
            else:
                WebSocket(cluster.edge_url.replace("http", "ws", 1) + path + "?ticket=madeup")
        assert refusal.value.code in (401, 3500)


def test_an_expiring_token_is_closed_at_its_end(cluster, person):
    earliest = int(time.time()) + 8
    with cluster.websocket(person("bob"), seconds=8) as client:
        assert client.reply.get("expires") is True and client.reply.get("ttl") == 1
        client.wait_closed()
        assert client.code == 3005 and time.time() >= earliest


def test_a_refresh_prolongs_it(cluster, person):
    bob = person("bob")
    with cluster.websocket(bob, seconds=8) as client:
        end = time.monotonic() + 8
        client.send({"id": 2, "refresh": {"token": cluster.token(bob)}})
        stays(lambda: not client.closed.is_set(), end + 2 - time.monotonic(), "open beyond its first token")


def test_nothing_that_a_client_sent_is_logged(cluster):
    for process in cluster.processes:
        if process.name in ("kafka", "redis"):
            continue
        text = process.output()
        assert "eyJ" not in text and "rubbish" not in text and "madeup" not in text, process.name
        assert json.dumps("still here")[1:-1] not in text
