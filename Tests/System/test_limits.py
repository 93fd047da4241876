"""Bad input and too much of it: each gets its clear answer, and nothing crashes."""

import socket
import time

import pytest
import websockets.exceptions

from carillon import http, kafka, standstill
from carillon.clients import EventStream, Refused, WebSocket
from carillon.cluster import Service
from carillon.processes import free_port
from carillon.waiting import until


def test_a_request_line_of_100_kilobytes(cluster):
    for service in cluster.all():
        with socket.create_connection(("127.0.0.1", service.port), 60) as raw:
            try:
                raw.sendall(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            except OSError:
                pass  # it answered and closed before all of it was sent
            assert raw.recv(4096).startswith(b"HTTP/1.1 414"), service.name
        assert service.runs
    assert http.request("GET", cluster.edge_url + "/v1/inbox?" + "a" * 100_000).status in (400, 414)


def test_the_answer_to_a_long_request_line_is_414(cluster):
    for service in cluster.all():
        with socket.create_connection(("127.0.0.1", service.port), 60) as raw:
            raw.sendall(b"GET /" + b"a" * 9_000)
            assert raw.recv(4096).startswith(b"HTTP/1.1 414"), service.name


def test_a_body_over_a_megabyte_is_413(cluster):
    with socket.create_connection(("127.0.0.1", cluster["notification-service"].port), 60) as raw:
        raw.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: carillon-demo-key\r\nContent-Length: 2000000\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")


def test_rubbish_instead_of_http(cluster):
    for service in cluster.all():
        for rubbish in (b"\x00\x01\x02\x03\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\xff" * 1000 + b"\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", service.port), 60) as raw:
                raw.sendall(rubbish)
                assert raw.recv(4096)[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5"), service.name
        assert service.runs


def test_an_unknown_path_is_a_problem_document(cluster):
    for service in cluster.all():
        answer = http.request("GET", service.url + "/v1/nothing")
        assert answer.status == 404 and answer.problem == "not_found", service.name


@pytest.fixture(scope="module")
def small(cluster):
    """A gateway that may have 512 descriptors: 256 connections."""
    # Idle connections stay for as long as filling it may take.
    gateway = cluster.extra("gateway", "gateway-small", {"HANDSHAKE_TIMEOUT": "60s"}, descriptors=512)
    yield gateway
    gateway.end()


def test_a_connection_over_the_limit_is_asked_to_come_back(cluster, small, person):
    bob, held = person("bob"), []
    with cluster.websocket(bob, small) as client:
        def fill():
            """Idle connections until one is refused; the answer to the refused one."""
            for _ in range(400):
                try:
                    held.append(WebSocket(small.url.replace("http", "ws", 1) + "/connection/websocket", connect=False))
                except Refused as refusal:
                    return refusal
            return None
        refusal = fill()
        assert refusal is not None and refusal.code == 503 and int(refusal.headers["Retry-After"]) >= 1
        assert 200 <= len(held) <= 260
        rest = http.request("GET", small.url + "/v1/inbox", headers=cluster.bearer(bob))
        assert rest.status == 503 and int(rest.headers["Retry-After"]) >= 1 and rest.problem in ("overloaded", "unavailable")
        stream = http.request("GET", small.url + "/connection/sse", headers=cluster.bearer(bob))
        assert stream.status == 200 and stream.headers["Content-Type"].startswith("text/event-stream")
        lines = [line for line in stream.body.decode().splitlines() if line]
        assert len(lines) == 1 and lines[0].startswith("retry:")
        cluster.produce(kafka.event("message.direct", {"user": bob}, title="who is in stays in"))
        client.wait_title("who is in stays in")
        for other in held:
            # Its reader sits in recv, where a plain close would send nothing until the gateway's own deadline passed.
            other.socket.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: accepted(cluster, small, bob), what="room again")
    assert http.answers(small.operations + "/health/ready")


def accepted(cluster, gateway, person):
    try:
        cluster.websocket(person, gateway).close()
        return True
    except (Refused, OSError, websockets.exceptions.WebSocketException):
        return False


def test_a_request_that_never_ends_is_ended(cluster):
    """Slowloris: a head that trickles is cut at its deadline."""
    began = time.time()
    with socket.create_connection(("127.0.0.1", cluster.gateways[0].port), 60) as raw:
        raw.sendall(b"GET /v1/inbox HTTP/1.1\r\n")
        answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")
    assert standstill.took(began) < 15


def test_event_stream_without_its_accept_header_still_works(cluster, person):
    with EventStream(f"{cluster.edge_url}/connection/sse", token=cluster.token(person("bob"))) as stream:
        assert stream.greeting["recovered"] is False and stream.retry > 0


def test_an_event_for_a_broker_that_is_away_is_refused_at_once(cluster):
    """EVENT_ACK_TIMEOUT is for a broker that may answer yet."""
    lonely = Service(cluster, "notification-service", "notification-lonely", {
        "KAFKA_BROKERS": f"127.0.0.1:{free_port()}", "EVENT_ACK_TIMEOUT": "60s"})
    cluster.run(lonely, wait=False)

    def post():
        """The answer; None where it is waited for, as at first, or nobody listens yet."""
        try:
            return http.request("POST", lonely.url + "/v1/events", kafka.event("message.direct", {"user": "bob"}), cluster.key, timeout=5)
        except OSError:
            return None

    try:
        answer = until(post, 45, "an answer before EVENT_ACK_TIMEOUT")
        assert answer.status == 503 and answer.problem == "unavailable" and int(answer.headers["Retry-After"]) >= 1
        assert lonely.dependency("kafka") == 0
    finally:
        lonely.end()
