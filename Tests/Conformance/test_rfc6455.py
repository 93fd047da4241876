"""RFC 6455, rule by rule, over raw sockets against a gateway. Each test names the section that it holds the gateway to."""

import json

import pytest

from frames import (BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT, Raw, accept, close, frame, handshake,
                    random_mask)

LIMIT = 65536  # CLIENT_MESSAGE_MAX_BYTES


@pytest.fixture
def dial(cluster):
    """New connections, closed with the test."""
    opened = []

    def dialled():
        opened.append(Raw(cluster.gateways[0].url))
        return opened[-1]
    yield dialled
    for raw in opened:
        raw.socket.close()


@pytest.fixture
def raw(dial):
    """A connection whose handshake is done."""
    made = dial()
    assert made.open() == 101
    return made


@pytest.fixture
def peer(raw, cluster, person):
    """A connection whose connect command is answered too: from here on each text message gets a reply."""
    command = json.dumps({"id": 1, "connect": {"token": cluster.token(person())}})
    raw.send(frame(TEXT, command.encode()))
    answer = raw.read()
    assert answer.opcode == TEXT and "connect" in json.loads(answer.payload), answer
    return raw


def command(id, size=None, text="x"):
    """A command that is answered with an error of the same id; padded to `size` bytes."""
    head, tail = f'{{"id":{id},"nonsense":"'.encode(), b'"}'
    filling = text.encode() if size is None else b"x" * (size - len(head) - len(tail))
    return head + filling + tail


def answered(peer, id):
    """The next frame answers the command of this id."""
    answer = peer.read()
    assert answer.opcode == TEXT and answer.fin and answer.rsv == 0, answer
    assert json.loads(answer.payload)["id"] == id
    return answer


# The opening handshake


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
    """4.2.2 (5): one of those offered, or none."""
    raw = dial()
    assert raw.open(Sec_WebSocket_Protocol="chat, superchat") == 101
    assert raw.field("Sec-WebSocket-Protocol") is None


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


# Framing


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_a_client_masks_its_frames(raw, opcode):
    """5.1: the server closes upon a frame that is not masked."""
    raw.send(frame(opcode, b"", mask=None))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("mask", [bytes(4), b"\xff" * 4, b"\x00\xff\x00\xff", b"\x01\x02\x03\x04", random_mask()], ids=repr)
def test_any_masking_key_is_undone(peer, mask):
    """5.3."""
    peer.send(frame(TEXT, command(2, 300), mask=mask), frame(PING, b"abcde", mask=mask))
    answered(peer, 2)
    assert peer.read().payload == b"abcde"


def test_the_mask_goes_on_over_segments(peer):
    """5.3: the key's octet follows the payload's, wherever TCP cuts."""
    for size in (1, 2, 3, 5, 7):
        peer.trickle(frame(TEXT, command(2, 200), mask=b"\x11\x22\x33\x44"), size)
        answered(peer, 2)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, PING, CLOSE])
def test_reserved_bits_are_zero(raw, rsv, opcode):
    """5.2: without an extension that gives them a meaning they fail the connection."""
    raw.send(frame(opcode, b"", rsv=rsv))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("rsv", [1, 2, 4])
def test_reserved_bits_are_zero_in_fragments(raw, rsv):
    """5.2: in a continuation too."""
    raw.send(frame(TEXT, b"{", fin=False), frame(CONTINUATION, b"}", rsv=rsv))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_an_unknown_opcode_fails_the_connection(raw, opcode):
    """5.2."""
    raw.send(frame(opcode, b""))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("first", [0x83, 0xC1, 0x09, 0x80], ids=hex)
def test_a_breach_shows_with_its_first_byte(raw, first):
    """7.1.7: nothing more is needed to fail the connection, so nothing more is waited for."""
    raw.send(bytes([first]))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("size", [125, 126, 127, 128, 65535, 65536])
def test_lengths_in_their_shortest_forms_are_read(peer, size):
    """5.2: 7 bits, 16 bits, 64 bits."""
    peer.send(frame(TEXT, command(2, size)))
    answered(peer, 2)


def test_an_empty_frame_is_read(peer):
    """5.2: a length of 0, masked all the same."""
    peer.send(frame(PING, b""), frame(TEXT, b"", fin=False), frame(CONTINUATION, command(3)))
    assert peer.read().opcode == PONG
    answered(peer, 3)


@pytest.mark.parametrize("form, length", [(16, 0), (16, 1), (16, 125), (64, 0), (64, 125), (64, 126), (64, 65535)])
def test_a_length_takes_the_fewest_bytes(raw, form, length):
    """5.2: "the minimal number of bytes MUST be used"."""
    raw.send(frame(TEXT, b"x" * length, form=form))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1])
def test_the_most_significant_bit_of_a_length_is_zero(raw, length):
    """5.2."""
    raw.send(frame(TEXT, b"", length=length, form=64))
    assert raw.closed_with() == 1002


def test_the_server_uses_the_fewest_bytes(peer):
    """5.2, in the other direction: 7 bits up to 125, then 16."""
    for size in (0, 1, 124, 125):
        peer.send(frame(PING, b"x" * size))
        answer = peer.read()
        assert answer.form == 7 and len(answer.payload) == size
    peer.send(frame(TEXT, command(5)))
    answer = answered(peer, 5)
    assert answer.form == (7 if len(answer.payload) < 126 else 16)


def test_any_split_of_the_bytes_is_the_same(peer):
    """5.2: TCP has no borders; header, mask and payload one byte at a time."""
    peer.trickle(frame(PING, b"a") + frame(TEXT, command(2, 140)) + close(1000))
    assert peer.read().payload == b"a"
    answered(peer, 2)
    assert peer.closed_with() == 1000


def test_many_frames_in_one_segment(peer):
    """5.2: all of them are answered, in order."""
    peer.send(*(frame(TEXT, command(id)) for id in range(2, 22)))
    for id in range(2, 22):
        answered(peer, id)


# Fragmentation


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_fragments_are_one_message(peer, size):
    """5.4."""
    message = command(2, 120)
    parts = [message[start:start + size] for start in range(0, len(message), size)]
    peer.send(*(frame(TEXT if index == 0 else CONTINUATION, part, fin=index == len(parts) - 1)
                for index, part in enumerate(parts)))
    answered(peer, 2)


def test_fragments_may_be_empty(peer):
    """5.4: the first, the last and those between."""
    peer.send(frame(TEXT, b"", fin=False), frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, command(2), fin=False),
              frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, b""))
    answered(peer, 2)


def test_control_frames_come_between_fragments(peer):
    """5.4, 5.5: they are answered at once, before the message is whole."""
    message = command(2)
    peer.send(frame(TEXT, message[:5], fin=False), frame(PING, b"one"))
    assert peer.read().payload == b"one"
    peer.send(frame(PONG, b"unasked"), frame(CONTINUATION, message[5:9], fin=False), frame(PING, b"two"),
              frame(CONTINUATION, message[9:]))
    assert peer.read().payload == b"two"
    answered(peer, 2)


def test_a_close_between_fragments_is_answered(peer):
    """5.4, 5.5.1: the message that is never finished is dropped."""
    peer.send(frame(TEXT, command(2)[:5], fin=False), close(1001))
    assert peer.closed_with() == 1001


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_continues_something(raw, fin):
    """5.4."""
    raw.send(frame(CONTINUATION, b"x", fin=fin))
    assert raw.closed_with() == 1002


def test_a_continuation_after_a_whole_message_continues_nothing(peer):
    """5.4: the FIN bit ended it."""
    peer.send(frame(TEXT, command(2)), frame(CONTINUATION, b"x"))
    answered(peer, 2)
    assert peer.closed_with() == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_of_two_messages_are_not_interleaved(raw, opcode):
    """5.4."""
    raw.send(frame(TEXT, b"{", fin=False), frame(opcode, b"x"))
    assert raw.closed_with() == 1002


# Control frames


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_is_not_fragmented(raw, opcode):
    """5.5."""
    raw.send(frame(opcode, b"", fin=False))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_holds_125_bytes_at_most(raw, opcode):
    """5.5: the length alone fails the connection, before any payload."""
    raw.send(frame(opcode, b"", length=126, form=16))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("payload", [b"", b"a", bytes(range(125)), b"\xff\xfe\x00" * 40, "é".encode() * 60], ids=len)
def test_a_pong_echoes_its_ping(raw, payload):
    """5.5.2, 5.5.3: with the same application data, which need not be text."""
    raw.send(frame(PING, payload))
    answer = raw.read()
    assert (answer.opcode, answer.payload, answer.fin, answer.rsv) == (PONG, payload, True, 0)


def test_pings_are_answered_in_order(raw):
    """5.5.3: each, or at least the latest; here each."""
    raw.send(*(frame(PING, bytes([number])) for number in range(10)))
    assert [raw.read().payload for _ in range(10)] == [bytes([number]) for number in range(10)]


def test_an_unsolicited_pong_is_not_answered(raw):
    """5.5.3."""
    raw.send(frame(PONG, b"unasked"), frame(PONG), frame(PING, b"marker"))
    assert raw.read().payload == b"marker"


# The closing handshake


def test_a_close_is_answered_and_the_server_ends_first(raw):
    """5.5.1, 7.1.1, 7.1.5: the code comes back, then the TCP connection ends from the server's side."""
    raw.send(close(1000, b"done"))
    assert raw.closed_with() == 1000


def test_an_empty_close_is_answered_with_an_empty_one(raw):
    """5.5.1, 7.4.1: 1005 is never on the wire."""
    raw.send(close())
    assert raw.closed_with() is None


def test_nothing_is_answered_after_a_close(peer):
    """5.5.1, 1.4: what comes behind it is not looked at, right or wrong."""
    peer.send(close(1000), frame(PING, b"late"), frame(TEXT, command(2)), b"\xff\xff\xff", close(1001))
    assert peer.closed_with() == 1000


def test_what_came_before_a_close_is_answered(peer):
    """5.5.1: in order, then the close."""
    peer.send(frame(TEXT, command(2)), frame(PING, b"x"), close(1000))
    answered(peer, 2)
    assert peer.read().payload == b"x"
    assert peer.closed_with() == 1000


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
def test_a_close_code_that_may_be_sent_is_echoed(raw, code):
    """7.4.1, 7.4.2, and 1012 to 1014 of the registry (11.7)."""
    raw.send(close(code))
    assert raw.closed_with() == code


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535])
def test_a_close_code_that_may_not_be_sent_is_a_breach(raw, code):
    """7.4.1, 7.4.2: reserved, or of no range."""
    raw.send(close(code))
    assert raw.closed_with() == 1002


def test_a_close_code_has_two_bytes(raw):
    """5.5.1: a body of one byte is none."""
    raw.send(frame(CLOSE, b"\x03"))
    assert raw.closed_with() == 1002


@pytest.mark.parametrize("reason", [b"", b"x" * 123, "é".encode() * 61, "\U0001f514".encode() * 30])
def test_a_close_reason_is_text(raw, reason):
    """5.5.1: up to 123 bytes."""
    raw.send(close(1000, reason))
    assert raw.closed_with() == 1000


@pytest.mark.parametrize("reason", [b"\xff", b"\xc3", b"ok\xed\xa0\x80", b"\xf4\x90\x80\x80", b"x" * 122 + b"\xc3"], ids=repr)
def test_a_close_reason_that_is_not_utf_8_is_invalid(raw, reason):
    """5.5.1, 8.1."""
    raw.send(close(1000, reason))
    assert raw.closed_with() in (1002, 1007)


def test_a_connection_that_just_ends_is_let_go(cluster, dial):
    """7.1.4: no close frame, no answer, and the next one is served."""
    raw = dial()
    assert raw.open() == 101
    raw.send(frame(TEXT, b"{", fin=False))
    raw.socket.close()
    assert dial().open() == 101


# Text


GOOD = ["plain", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufeff", "\ufffd", "\uffff", "\U00010000",
        "\U0010ffff", "κόσμε", "日本語", "🔔"]
BAD = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc3(", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xe2\x28\xa1", b"\xe2\x82\x28",
       b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x28\x8c\xbc", b"\xf0\x90\x28\xbc",
       b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"caf\xe9"]


@pytest.mark.parametrize("text", GOOD, ids=ascii)
def test_text_is_utf_8(peer, text):
    """5.6, 8.1: every well-formed sequence is text."""
    peer.send(frame(TEXT, command(2, text=text)))
    answered(peer, 2)


@pytest.mark.parametrize("data", BAD, ids=repr)
def test_text_that_is_not_utf_8_fails_the_connection(raw, data):
    """5.6, 8.1: overlong forms, surrogates, what lies beyond U+10FFFF, bytes out of place."""
    raw.send(frame(TEXT, b"ok " + data + b" ok"))
    assert raw.closed_with() == 1007


@pytest.mark.parametrize("data", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x94"], ids=repr)
def test_text_does_not_end_within_a_character(raw, data):
    """8.1."""
    raw.send(frame(TEXT, b"ok" + data))
    assert raw.closed_with() == 1007


def test_a_character_may_lie_across_fragments(peer):
    """5.6: a fragment need not end where a character does."""
    message = command(2, text="aé日🔔z")
    for cut in range(1, len(message)):
        peer.send(frame(TEXT, message[:cut], fin=False), frame(PING, b"between"), frame(CONTINUATION, message[cut:]))
        assert peer.read().payload == b"between"
        answered(peer, 2)


@pytest.mark.parametrize("data", BAD, ids=repr)
def test_bad_text_across_fragments_fails_the_connection(raw, data):
    """5.6, 8.1."""
    raw.send(frame(TEXT, b"ok" + data[:1], fin=False), frame(CONTINUATION, data[1:] + b" ok"))
    assert raw.closed_with() == 1007


def test_bad_text_fails_before_the_frame_is_whole(raw):
    """8.1: as soon as a byte cannot be part of UTF-8; the rest of the frame never comes."""
    whole = frame(TEXT, b"x" * 50 + b"\xff" + b"x" * 5000)
    raw.send(whole[:70])
    assert raw.closed_with() == 1007


def test_bad_text_fails_before_the_message_is_whole(raw):
    """8.1: as above, with the last fragment missing."""
    raw.send(frame(TEXT, b"\xf4\x90", fin=False))
    assert raw.closed_with() == 1007


# Sizes


def test_a_message_over_the_limit_is_refused_by_its_header(raw):
    """7.4.1 (1009), 10.4: before one byte of it has come."""
    raw.send(frame(TEXT, b"", length=LIMIT + 1))
    assert raw.closed_with() == 1009


@pytest.mark.parametrize("length", [1 << 32, (1 << 63) - 1])
def test_a_length_of_any_size_costs_nothing(raw, length):
    """10.4."""
    raw.send(frame(BINARY, b"", length=length, form=64))
    assert raw.closed_with() == 1009


def test_fragments_count_together(raw):
    """10.4: the limit is the message's, over all its frames."""
    part = b"x" * (LIMIT // 4)
    raw.send(frame(TEXT, part, fin=False), *(frame(CONTINUATION, part, fin=False) for _ in range(3)))
    raw.send(frame(CONTINUATION, b"x"))
    assert raw.closed_with() == 1009


def test_a_message_of_the_limit_is_taken(peer):
    """10.4: not one byte earlier."""
    message = command(2, LIMIT)
    peer.send(frame(TEXT, message[:1000], fin=False), frame(CONTINUATION, message[1000:]))
    answered(peer, 2)
