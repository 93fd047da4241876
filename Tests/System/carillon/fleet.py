"""Thousands of clients in one event loop, that come to the gateways directly and place themselves as the edge does."""

import asyncio
import hashlib
import json
import os
import random
import resource
import struct
import time


def order(person, names):
    """The gateways' names, best first: a person's place changes only if the gateway of that place does (as HAProxy's
    `hash-type consistent` has it; by the highest weight)."""
    return sorted(names, key=lambda name: hashlib.blake2b(f"{person}|{name}".encode(), digest_size=8).digest(), reverse=True)


class Device(asyncio.Protocol):
    """One person's one client. It checks each publication as it comes: its offset is the next one, or something was lost or
    came twice."""

    def __init__(self, fleet, person, token, is_stream):
        self.fleet, self.person, self.token, self.is_stream = fleet, person, token, is_stream
        self.places = order(person, fleet.ports)
        self.epoch = self.offset = None
        self.titles, self.faults, self.unrecovered = [], [], 0
        self.is_up, self.gateway, self.retry, self.codes = False, None, None, []
        self.transport = None

    async def live(self):
        """Connects, and comes back whenever the connection ends, until the fleet stops."""
        attempts = 0
        while not self.fleet.stopping:
            self.pending, self.headed, self.retry, self.over = b"", False, None, asyncio.get_running_loop().create_future()
            for name in self.places:
                try:
                    await asyncio.wait_for(
                        asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.fleet.ports[name]), 5)
                except (OSError, asyncio.TimeoutError):
                    continue  # as the edge: a place that refuses is passed over
                self.gateway = name
                await self.over
                break
            was_up, self.is_up = self.is_up, False
            attempts = 0 if was_up else attempts + 1
            self.fleet.refused += not was_up
            # As SDKs do: a fraction of a second at first, then longer; a delay that the server names is kept.
            delay = self.retry if self.retry is not None else random.uniform(0.1, min(5, 0.5 * 2 ** min(attempts, 4)))
            await asyncio.sleep(delay)

    # asyncio.Protocol

    def connection_made(self, transport):
        self.transport = transport
        head = f"Host: x\r\nAuthorization: Bearer {self.token}\r\n"
        if self.is_stream:
            resume = f"Last-Event-ID: 1.{self.epoch}-{self.offset}\r\n" if self.epoch else ""
            transport.write(f"GET /connection/sse HTTP/1.1\r\n{head}{resume}\r\n".encode())
        else:
            transport.write((f"GET /connection/websocket HTTP/1.1\r\n{head}Upgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())

    def connection_lost(self, _):
        if not self.over.done():
            self.over.set_result(None)

    def data_received(self, data):
        self.pending += data
        if not self.headed:
            head, found, rest = self.pending.partition(b"\r\n\r\n")
            if not found:
                return
            self.headed, self.pending = True, rest
            if not head.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")):
                for line in head.decode().split("\r\n"):
                    if line.lower().startswith("retry-after:"):
                        self.retry = float(line.split(":")[1]) * random.uniform(0.5, 1)
                return self.transport.close()
            if not self.is_stream:
                subs = {"inbox": {"recover": True, "epoch": self.epoch, "offset": self.offset}} if self.epoch else {}
                self.say({"id": 1, "connect": {"subs": subs}})
        self.events() if self.is_stream else self.frames()

    def say(self, command):
        payload = json.dumps(command).encode()
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self.transport.write(b"\x81" + length + b"\0\0\0\0" + payload)

    def events(self):
        *events, self.pending = self.pending.split(b"\n\n")
        for event in events:
            fields = dict(line.split(": ", 1) for line in event.decode().split("\n") if ": " in line)
            if "retry" in fields:
                self.retry = int(fields["retry"]) / 1000
            if fields.get("event") == "connected":
                epoch, _, offset = fields["id"].removeprefix("1.").rpartition("-")
                self.greeted(epoch, int(offset), json.loads(fields["data"])["recovered"])
            elif "data" in fields:
                self.published(int(fields["id"].rpartition("-")[2]), json.loads(fields["data"])["title"])

    def frames(self):
        at, data = 0, self.pending
        while len(data) - at >= 2:
            length, start = data[at + 1], at + 2
            if length == 126:
                if len(data) < start + 2:
                    break
                length, start = int.from_bytes(data[start:start + 2], "big"), start + 2
            elif length == 127:
                if len(data) < start + 8:
                    break
                length, start = int.from_bytes(data[start:start + 8], "big"), start + 8
            if len(data) < start + length:
                break
            payload = data[start:start + length]
            if data[at] & 15 == 8:
                self.codes.append(struct.unpack(">H", payload[:2])[0])
                self.transport.close()
            else:
                for line in payload.split(b"\n"):
                    self.said(line)
            at = start + length
        self.pending = data[at:]

    def said(self, line):
        if line == b"{}":
            return self.say({})
        message = json.loads(line)
        if "connect" in message:
            inbox = message["connect"]["subs"]["inbox"]
            self.greeted(inbox["epoch"], inbox["offset"], inbox["recovered"])
            for publication in inbox.get("publications", []):
                self.published(publication["offset"], publication["data"]["title"])
        elif "pub" in message.get("push", {}):
            self.published(message["push"]["pub"]["offset"], message["push"]["pub"]["data"]["title"])

    def greeted(self, epoch, offset, recovered):
        if self.epoch is not None and (not recovered or epoch != self.epoch or offset != self.offset):
            self.unrecovered += 1
        self.epoch, self.offset, self.is_up = epoch, offset, True

    def published(self, offset, title):
        if offset != self.offset + 1:
            self.faults.append((self.offset, offset, title))
        self.offset = offset
        self.titles.append(title)


class Fleet:
    """`devices` of people, each at the gateway of its place. `ports`: name of a gateway → its port."""

    def __init__(self, ports, people, token):
        self.ports, self.stopping, self.refused = ports, False, 0
        self.devices = [Device(self, person, token(person), number % 4 == 3) for number, person in enumerate(people)]

    async def __aenter__(self):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.tasks = [asyncio.create_task(device.live()) for device in self.devices]
        return self

    async def __aexit__(self, *_):
        self.stopping = True
        for task in self.tasks:
            task.cancel()
        for device in self.devices:
            if device.transport:
                device.transport.abort()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @property
    def up(self):
        return sum(device.is_up for device in self.devices)

    def at(self, gateway):
        return [device for device in self.devices if device.is_up and device.gateway == gateway]

    async def until(self, condition, timeout, what):
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < timeout, f"not within {timeout} s: {what()}"
            await asyncio.sleep(0.05)
        return time.monotonic() - began


def size(default):
    """Clients of each gateway: ROLLING_CLIENTS, or what fits into every run of the tests."""
    return int(os.environ.get("ROLLING_CLIENTS", default))
