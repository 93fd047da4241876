"""RFC 6455, framing, fragments and control frames, rule by rule, over raw sockets against a gateway. Each test names the section that it holds the
gateway to."""

import pytest

from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, answered, close, command, frame, random_mask


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
