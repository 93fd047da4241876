"""RFC 6455, the opening handshake, rule by rule, over raw sockets against a gateway. Each test names the section that it holds the
gateway to."""

import pytest

from frames import KEY, PING, PONG, accept, close, frame, handshake


def test_the_accept_value_is_made_of_the_key(dial):
    """4.2.2, 1.3: the example of the RFC, and another key."""
    first, second = dial(), dial()
    assert first.open() == 101
    assert first.field("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    key = "AQIDBAUGBwgJCgsMDQ4PEA=="
    assert second.open(Sec_WebSocket_Key=key) == 101
    assert second.field("Sec-WebSocket-Accept") == accept(key)


def test_the_answer_names_the_upgrade(dial):
    """4.2.2: 101 with Upgrade: websocket and Connection: Upgrade, and nothing that was not asked for."""
    raw = dial()
    assert raw.open() == 101
    assert raw.head.startswith("HTTP/1.1 101 ")
    assert raw.field("Upgrade").lower() == "websocket" and raw.field("Connection").lower() == "upgrade"
    assert raw.field("Sec-WebSocket-Protocol") is None and raw.field("Sec-WebSocket-Extensions") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS", "get"])
def test_the_method_is_get(dial, method):
    """4.1 (2), 4.2.1 (1)."""
    assert dial().open(method=method) in (204, 400, 405, 426, 501)


def test_the_version_of_http_is_at_least_1_1(dial):
    """4.1 (2), 4.2.1 (1)."""
    raw = dial()
    assert raw.open(version="HTTP/1.0") in (400, 426)


def test_a_host_is_named(dial):
    """4.1 (4), 4.2.1 (2)."""
    assert dial().open(Host=None) == 400


@pytest.mark.parametrize("value", [None, "h2c", "websockets", "web socket"])
def test_the_upgrade_field_names_websocket(dial, value):
    """4.1 (5), 4.2.1 (3)."""
    assert dial().open(Upgrade=value) == 426


@pytest.mark.parametrize("value", [None, "keep-alive", "Upgraded"])
def test_the_connection_field_names_upgrade(dial, value):
    """4.1 (6), 4.2.1 (4)."""
    assert dial().open(Connection=value) == 426


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "UPGRADE ,keep-alive"])
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c, websocket"])
def test_tokens_are_read_as_a_list_in_any_case(dial, connection, upgrade):
    """4.2.1 (3), (4): case-insensitive tokens of a list."""
    assert dial().open(Connection=connection, Upgrade=upgrade) == 101


@pytest.mark.parametrize("value", [None, "", "8", "0", "14", "013", "13, 8", "x"])
def test_another_version_is_told_the_right_one(dial, value):
    """4.1 (9), 4.2.2 (4), 4.4: 426 with Sec-WebSocket-Version."""
    raw = dial()
    assert raw.open(Sec_WebSocket_Version=value) == 426
    assert raw.field("Sec-WebSocket-Version") == "13"


@pytest.mark.parametrize("key", [
    None, "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZWU=", "dGhlIHNhbXBsZSBub25jZQ=!",
    "dGhlIHNhbXBsZSBub25jZQ====", "dGhlIHNhbXBsZ-Bub25jZQ=="], ids=repr)
def test_the_key_is_sixteen_bytes_in_base64(dial, key):
    """4.1 (7), 4.2.1 (5)."""
    assert dial().open(Sec_WebSocket_Key=key) == 400


def test_the_key_stands_once(dial):
    """11.3.1: the field must not appear more than once."""
    raw = dial()
    raw.send(handshake().replace(b"\r\n\r\n", f"\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()))
    assert raw.status() == 400


def test_the_version_stands_once(dial):
    """11.3.5: the field must not appear more than once in a request."""
    raw = dial()
    raw.send(handshake().replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Version: 13\r\n\r\n"))
    assert raw.status() in (400, 426)


def test_fields_are_known_in_any_case(dial):
    """4.2.1: field names are not case-sensitive."""
    raw = dial()
    raw.send(handshake().replace(b"Sec-WebSocket-Key", b"SEC-websocket-KEY").replace(b"Upgrade: web", b"uPGRADE: web"))
    assert raw.status() == 101


def test_an_unknown_subprotocol_is_not_chosen(dial):
    """4.2.2 (5): one of those offered, or none; where none of them is spoken, that is said before the connection stands."""
    raw = dial()
    assert raw.open(Sec_WebSocket_Protocol="chat, superchat") == 400
    assert raw.field("Sec-WebSocket-Protocol") is None


def test_a_subprotocol_that_is_spoken_is_answered(dial):
    raw = dial()
    assert raw.open(Sec_WebSocket_Protocol="chat, centrifuge-json") == 101
    assert raw.field("Sec-WebSocket-Protocol") == "centrifuge-json"


@pytest.mark.parametrize("offer", ["foo", "foo; bar=1, x-webkit-deflate-frame", "permessage-bzip2"])
def test_an_unknown_extension_is_not_chosen(dial, offer):
    """9.1: only what was offered and is known is accepted."""
    raw = dial()
    assert raw.open(Sec_WebSocket_Extensions=offer) == 101
    assert raw.field("Sec-WebSocket-Extensions") is None


def test_nothing_comes_before_the_101(dial):
    """4.2.2, 5.1: frames that arrive with the handshake are answered behind its answer."""
    raw = dial()
    raw.send(handshake(), frame(PING, b"early"), close(1000))
    assert raw.status() == 101
    pong = raw.read()
    assert (pong.opcode, pong.payload) == (PONG, b"early")
    assert raw.closed_with() == 1000


def test_a_refused_handshake_is_followed_by_no_frame(dial):
    """4.2.2: who is refused still speaks HTTP."""
    raw = dial()
    raw.send(handshake(Sec_WebSocket_Version="8"), frame(PING, b"early"))
    assert raw.status() == 426
    length = int(raw.field("Content-Length"))
    assert raw.take(length).startswith(b"{")
    raw.send(b"\r\n\r\n")
    assert raw.status() == 400
