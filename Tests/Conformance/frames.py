"""A WebSocket as bytes on a socket: frames made by hand, right or wrong, and answers read frame by frame."""

import base64
import hashlib
import json
import os
import socket
import struct
import time
import urllib.parse

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # section 1.3


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x37\xfa\x21\x3d", length=None, form=None):
    """A frame as section 5.2 has it. `mask` None: none. `length`: what the header says instead of the truth.
    `form`: 7, 16 or 64, the bits that the length takes, whether or not they are the fewest."""
    said = len(payload) if length is None else length
    form = form or (7 if said < 126 else 16 if said < 65536 else 64)
    bit = 0x80 if mask is not None else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if form == 7:
        head += bytes([bit | said])
    elif form == 16:
        head += bytes([bit | 126]) + struct.pack(">H", said)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", said)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


def accept(key):
    """Section 4.2.2: what the server makes of the client's key."""
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def handshake(path="/connection/websocket", method="GET", version="HTTP/1.1", **fields):
    """A request's bytes; a field given as None is left out, `key="…"` and so on replace the usual."""
    usual = {"Host": "example.org", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
             "Sec-WebSocket-Version": "13"}
    for name, value in fields.items():
        usual[name.replace("_", "-")] = value
    lines = [f"{name}: {value}" for name, value in usual.items() if value is not None]
    return "\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode()


class Frame:
    def __init__(self, first, second, payload, form):
        self.fin, self.rsv, self.opcode = bool(first & 0x80), first >> 4 & 7, first & 15
        self.masked, self.payload, self.form = bool(second & 0x80), payload, form

    @property
    def code(self):
        """A close frame's code, None if it has none."""
        return struct.unpack(">H", self.payload[:2])[0] if len(self.payload) >= 2 else None

    def __repr__(self):
        return f"<{self.opcode} fin={self.fin} rsv={self.rsv} {self.payload[:60]!r}>"


class Ended(Exception):
    """The server has closed the TCP connection."""


class Raw:
    """One connection. Nothing is answered by itself."""

    def __init__(self, url, timeout=15):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest, self.head = b"", ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *parts):
        """All parts in one write."""
        self.socket.sendall(b"".join(parts))

    def trickle(self, data, size=1):
        """So many bytes at a time, each in a segment of its own."""
        for start in range(0, len(data), size):
            self.socket.sendall(data[start:start + size])
            time.sleep(0.001)

    def fill(self):
        try:
            chunk = self.socket.recv(65536)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            raise Ended(f"after {self.rest[:80]!r}")
        self.rest += chunk

    def take(self, count):
        while len(self.rest) < count:
            self.fill()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def open(self, **fields):
        """Sends a handshake; answers the status, with the head's lines in `head`."""
        self.send(handshake(**fields))
        return self.status()

    def status(self):
        while b"\r\n\r\n" not in self.rest:
            self.fill()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        return int(self.head.split(" ")[1])

    def field(self, name):
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def read(self):
        """The next frame; not a ping of the Centrifuge protocol, which may come between any two after the connect."""
        while (answer := self.frame()).opcode == TEXT and answer.payload == b"{}":
            pass
        return answer

    def frame(self):
        first, second = self.take(2)
        length, form = second & 0x7F, 7
        if length == 126:
            length, form = struct.unpack(">H", self.take(2))[0], 16
        elif length == 127:
            length, form = struct.unpack(">Q", self.take(8))[0], 64
        assert not second & 0x80, "a server never masks (section 5.1)"
        return Frame(first, second, self.take(length), form)

    def closed_with(self):
        """The code of the close frame that must come next, and then the end of the connection."""
        answer = self.read()
        assert answer.opcode == CLOSE, answer
        assert self.ended(), "the connection stayed open behind the close frame"
        return answer.code

    def ended(self, timeout=15):
        """Whether the server ends the connection without another byte. It does so first (section 7.1.1)."""
        self.socket.settimeout(timeout)
        try:
            return self.rest == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def random_mask():
    return os.urandom(4)


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
