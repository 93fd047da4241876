"""Many clients in one thread, on bare sockets: each can stop reading and go on later."""

import json
import os
import selectors
import socket
import struct
import time
import urllib.parse

from . import standstill


class Reader:
    """One connection and the titles that came on it, in order, as they came. `transport` is websocket or sse."""

    def __init__(self, url, person, token, transport, cursor=None, receive_buffer=None):
        self.person, self.transport = person, transport
        self.titles, self.cursor, self.greeting, self.code, self.closed, self.pings = [], None, None, None, False, 0
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(60)
        self.socket.connect((parts.hostname, parts.port))
        self.pending, self.headed = b"", False
        head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        if transport == "sse":
            head = f"GET /connection/sse HTTP/1.1\r\n{head}"
            head += f"Last-Event-ID: {cursor}\r\n" if cursor else ""
        else:
            head = (f"GET /connection/websocket HTTP/1.1\r\n{head}Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")
        self.socket.sendall(head.encode() + b"\r\n")
        if transport == "websocket":
            request = {}
            if cursor:
                epoch, _, offset = cursor.removeprefix("1.").rpartition("-")
                request["subs"] = {"inbox": {"recover": True, "epoch": epoch, "offset": int(offset)}}
            self.say({"id": 1, "connect": request})

    def say(self, command):
        payload, mask = json.dumps(command).encode(), os.urandom(4)
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self.socket.sendall(b"\x81" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)))

    @property
    def recovered(self):
        return self.greeting and self.greeting["recovered"]

    def receive(self):
        """What is there now; False once the connection has ended."""
        try:
            data = self.socket.recv(262_144)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.pending += data
        if not self.headed:
            head, found, rest = self.pending.partition(b"\r\n\r\n")
            if not found:
                return True
            assert head.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")), head + rest
            self.headed, self.pending = True, rest
        self.events() if self.transport == "sse" else self.frames()
        return True

    def events(self):
        *events, self.pending = self.pending.split(b"\n\n")
        for event in events:
            fields = dict(line.split(": ", 1) for line in event.decode().split("\n") if ": " in line)
            if "id" in fields:
                self.cursor = fields["id"]
            if fields.get("event") == "connected":
                self.greeting = json.loads(fields["data"])
            elif "data" in fields:
                self.titles.append(json.loads(fields["data"])["title"])
            elif event.startswith(b":"):
                self.pings += 1

    def frames(self):
        at, data = 0, self.pending
        while len(data) - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 126:
                size = 2 if length == 126 else 8
                if len(data) < start + size:
                    break
                length, start = int.from_bytes(data[start:start + size], "big"), start + size
            if len(data) < start + length:
                break
            payload = data[start:start + length]
            if data[at] & 15 == 8:
                self.code = struct.unpack(">H", payload[:2])[0]
            else:
                for line in payload.split(b"\n"):
                    self.said(json.loads(line))
            at = start + length
        self.pending = data[at:]

    def said(self, message):
        if not message:
            self.pings += 1
            self.say({})
        elif "connect" in message:
            inbox = self.greeting = message["connect"]["subs"]["inbox"]
            self.cursor = f"1.{inbox['epoch']}-{inbox['offset']}"
            for publication in inbox.get("publications", []):
                self.published(publication)
        elif "pub" in message.get("push", {}):
            self.published(message["push"]["pub"])

    def published(self, publication):
        self.titles.append(publication["data"]["title"])
        self.cursor = publication["tags"]["cursor"]

    def close(self):
        self.socket.close()


def read(readers, done, timeout, what="all of them"):
    """Reads on all that are open until `done(reader)` holds for each; AssertionError after `timeout` seconds."""
    began = time.time()
    with selectors.DefaultSelector() as selector:
        waiting = set()
        for reader in readers:
            if not done(reader):
                reader.socket.setblocking(False)
                selector.register(reader.socket, selectors.EVENT_READ, reader)
                waiting.add(reader)
        while waiting:
            assert standstill.took(began) < timeout, f"{what}: {len(waiting)} of {len(readers)} are not done after {timeout} s in which this machine ran"
            for key, _ in selector.select(1):
                reader = key.data
                goes_on = reader.receive()
                if done(reader) or not goes_on:
                    selector.unregister(reader.socket)
                    waiting.discard(reader)
                    reader.socket.settimeout(60)
    assert all(done(reader) for reader in readers), f"{what}: some were closed before"
