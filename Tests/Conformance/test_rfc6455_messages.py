"""RFC 6455, closing, text and sizes, rule by rule, over raw sockets against a gateway. Each test names the section that it holds the
gateway to."""

import pytest

from frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, answered, close, command, frame

LIMIT = 65536  # CLIENT_MESSAGE_MAX_BYTES


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
