"""Clients that note every notification as it arrives, on a WebSocket or an event stream, and never deduplicate."""

import http.client
import json
import threading
import time
import urllib.parse

import websockets.exceptions
import websockets.sync.client

from . import client_protocol
from .waiting import until


class Refused(Exception):
    """The handshake or the connect was not accepted: status, or the protocol's code and reason."""

    def __init__(self, code, reason="", headers=None, body=b""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason, self.headers, self.body = code, reason, headers or {}, body


class Frame:
    __slots__ = ("notification", "cursor", "at")

    def __init__(self, notification, cursor):
        self.notification, self.cursor, self.at = notification, cursor, time.time()

    @property
    def id(self):
        return self.notification["id"]

    def __repr__(self):
        return f"<{self.cursor} {self.notification.get('title')!r}>"


def position(cursor):
    """(epoch, offset) of a cursor, version 1; a ticket's stream puts a tag behind it."""
    version, _, rest = cursor.partition(".")
    epoch, _, offset = rest.partition(".")[0].partition("-")
    assert version == "1", cursor
    return epoch, int(offset)


class Receiver:
    """What both transports have in common."""

    def __init__(self):
        self.frames, self.cursor, self.closed, self.lock = [], None, threading.Event(), threading.Lock()

    def arrived(self, notification, cursor):
        with self.lock:
            self.frames.append(Frame(notification, cursor))
            self.cursor = cursor

    @property
    def titles(self):
        return [frame.notification.get("title") for frame in list(self.frames)]

    @property
    def ids(self):
        return [frame.id for frame in list(self.frames)]

    def wait(self, count, timeout=60):
        """The first `count` frames, once they are there."""
        until(lambda: len(self.frames) >= count or self.closed.is_set(), timeout,
              lambda: f"{count} frames; {len(self.frames)} came: {self.titles}")
        assert len(self.frames) >= count, f"closed after {len(self.frames)} of {count} frames"
        return list(self.frames)

    def wait_title(self, title, timeout=60):
        until(lambda: title in self.titles, timeout, lambda: f"{title!r} among {self.titles}")
        return next(frame for frame in list(self.frames) if frame.notification.get("title") == title)

    def wait_closed(self, timeout=60):
        assert self.closed.wait(timeout), f"still open after {timeout} s"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class WebSocket(Receiver):
    """The Centrifuge client protocol, JSON, one connection: connects at once, raises Refused, then listens."""

    subprotocols = None

    def __init__(self, url, token=None, cursor=None, timeout=60, connect=True):
        super().__init__()
        self.code, self.reason, self.reply, self.pings = None, None, None, 0
        try:
            self.socket = websockets.sync.client.connect(
                url, subprotocols=self.subprotocols, open_timeout=timeout, ping_interval=None, compression=None, max_size=None, close_timeout=1, proxy=None)
        except websockets.exceptions.InvalidStatus as refusal:
            answer = refusal.response
            raise Refused(answer.status_code, answer.reason_phrase, answer.headers, bytes(answer.body or b"")) from None
        if connect:
            self.connect(token, cursor, timeout)

    def connect(self, token=None, cursor=None, timeout=60):
        request = {"token": token} if token is not None else {}
        if cursor is not None:
            epoch, offset = position(cursor)
            request["subs"] = {"inbox": {"recover": True, "epoch": epoch, "offset": offset}}
        self.send({"id": 1, "connect": request})
        try:
            first = self.socket.recv(timeout=timeout)
        except websockets.exceptions.ConnectionClosed as closed:
            raise Refused(closed.rcvd.code if closed.rcvd else 1006, closed.rcvd.reason if closed.rcvd else "") from None
        message, *rest = self.decoded(first)
        if "error" in message:
            self.close()
            raise Refused(message["error"]["code"], message["error"].get("message", ""))
        if "connect" not in message:
            pushed = message.get("push", {}).get("disconnect")
            raise Refused(pushed["code"] if pushed else 0, str(message))
        self.reply = message["connect"]
        inbox = self.reply["subs"]["inbox"]
        self.recovered = inbox.get("recovered", False)
        self.cursor = f"1.{inbox['epoch']}-{inbox.get('offset', 0)}"
        for publication in inbox.get("publications", []):
            self.published(publication, inbox["epoch"])
        for message in rest:
            self.said(message)
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def send(self, *commands):
        self.socket.send(self.encoded(commands))

    def encoded(self, commands):
        return "\n".join(json.dumps(command) for command in commands)

    def decoded(self, frame):
        return [json.loads(line) for line in frame.split("\n") if line]

    def listen(self):
        try:
            for frame in self.socket:
                for message in self.decoded(frame):
                    self.said(message)
        except websockets.exceptions.ConnectionClosed:
            pass
        except OSError:
            pass
        self.code, self.reason = self.socket.close_code, self.socket.close_reason
        self.closed.set()

    def said(self, message):
        if not message:
            self.pings += 1
            self.send({})
        elif "push" in message and message["push"].get("channel") == "inbox" and "pub" in message["push"]:
            self.published(message["push"]["pub"], None)

    def published(self, publication, epoch):
        cursor = publication.get("tags", {}).get("cursor")
        if epoch is not None:
            assert cursor in (None, f"1.{epoch}-{publication['offset']}"), publication
            cursor = f"1.{epoch}-{publication['offset']}"
        assert cursor is not None, f"a publication without tags.cursor: {publication}"
        assert position(cursor)[1] == publication["offset"], publication
        self.arrived(publication["data"], cursor)

    def close(self):
        self.socket.close()
        self.closed.set()


class ProtobufWebSocket(WebSocket):
    """The same in the protocol's other codec, by Google's Protobuf."""

    subprotocols = ["centrifuge-protobuf"]

    def encoded(self, commands):
        return client_protocol.frame(*(client_protocol.command(**command) for command in commands))

    def decoded(self, frame):
        assert isinstance(frame, bytes), "a text frame"
        return [client_protocol.values(reply) for reply in client_protocol.replies(frame)]


class EventStream(Receiver):
    """Server-sent events as an EventSource reads them, one connection: raises Refused, then listens."""

    def __init__(self, url, token=None, cursor=None, timeout=60):
        super().__init__()
        self.retry, self.greeting, self.comments = None, None, 0
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        headers = {"Accept": "text/event-stream"}
        if token:
            headers["Authorization"] = "Bearer " + token
        if cursor:
            headers["Last-Event-ID"] = cursor
        self.connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""), headers=headers)
        self.sock = self.connection.sock  # http.client lets go of it when the answer ends with the connection
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise Refused(self.answer.status, self.answer.reason, self.answer.headers, self.answer.read())
        assert self.answer.headers["Content-Type"].startswith("text/event-stream"), self.answer.headers
        self.greeted = threading.Event()
        self.sock.settimeout(120)
        threading.Thread(target=self.listen, daemon=True).start()
        self.greeted.wait(timeout)
        if self.greeting is None:
            self.close()
            raise Refused(503, f"asked to come back after {self.retry} ms")

    @property
    def recovered(self):
        return self.greeting and self.greeting["recovered"]

    def listen(self):
        kind, data, identity = None, [], None
        try:
            while line := self.answer.readline():
                line = line.decode().rstrip("\n").rstrip("\r")
                if not line:
                    if identity is not None:
                        self.cursor = identity
                    if data:
                        self.dispatch(kind, "\n".join(data))
                    kind, data, identity = None, [], None
                    continue
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if not name:
                    self.comments += 1
                elif name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                elif name == "id":
                    identity = value
                elif name == "retry":
                    self.retry = int(value)
        except (OSError, http.client.HTTPException, AttributeError, ValueError):
            pass  # closed, here or there
        self.closed.set()
        self.greeted.set()

    def dispatch(self, kind, data):
        if kind == "connected":
            self.greeting = json.loads(data)
            self.greeted.set()
        elif kind is None:
            self.arrived(json.loads(data), self.cursor)

    def close(self):
        import socket
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.closed.set()


class Poll(Receiver):
    """A client that polls, one answer after another on one HTTP connection: asks for the cursor at once unless it brings one,
    raises Refused, then goes on polling."""

    def __init__(self, url, token=None, cursor=None, timeout=60, wait=30):
        super().__init__()
        self.wait_seconds, self.answers, self.unread, self.refusal = wait, 0, None, None
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        self.connection.connect()
        self.socket = self.connection.sock
        self.path = parts.path + "?" + (parts.query + "&" if parts.query else "")
        self.headers = {"Authorization": "Bearer " + token} if token else {}
        self.cursor = cursor
        # The first answer says where it stands; what a brought cursor has not seen is in it.
        first = self.poll(0)
        self.recovered = first["recovered"] if first else True
        self.socket.settimeout(wait + 60)
        threading.Thread(target=self.listen, daemon=True).start()

    def poll(self, wait):
        """An answer's document, None at 204; notes what it brings."""
        cursor = f"&cursor={self.cursor}" if self.cursor else ""
        self.connection.request("GET", f"{self.path}wait={wait}{cursor}", headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 204):
            raise Refused(answer.status, answer.reason, answer.headers, body)
        assert self.connection.sock is self.socket, "the HTTP connection was not kept"
        self.answers += 1
        if answer.status == 204:
            assert body == b"", body
            return None
        page = json.loads(body)
        self.unread = page["unread"]
        # An answer gives one cursor, the last one's; those before it follow from the positions between.
        epoch, offset = position(page["cursor"])
        count = len(page["notifications"])
        for number, notification in enumerate(page["notifications"]):
            self.arrived(notification, f"1.{epoch}-{offset - count + 1 + number}")
        self.cursor = page["cursor"]
        return page

    def listen(self):
        try:
            while not self.closed.is_set():
                self.poll(self.wait_seconds)
        except (OSError, http.client.HTTPException, AttributeError, ValueError):
            pass  # closed, here or there
        except Refused as refusal:
            self.refusal = refusal
        self.closed.set()

    def close(self):
        import socket
        self.closed.set()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Follower:
    """A person's device that comes back with its cursor whenever its connection ends; it notes every frame of every
    connection, and which of them its own cursor had passed already."""

    def __init__(self, connect):
        """`connect(cursor)` answers a connected Receiver or raises."""
        self.connect, self.frames, self.repeated, self.connections = connect, [], [], 0
        self.cursor, self.stopping, self.current, self.unrecovered = None, False, None, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.first = threading.Event()
        self.thread.start()
        assert self.first.wait(60), "no first connection"

    def run(self):
        while not self.stopping:
            try:
                receiver = self.connect(self.cursor)
            except (Refused, OSError, TimeoutError, AssertionError, ValueError, websockets.exceptions.WebSocketException,
                    http.client.HTTPException):
                time.sleep(0.2)
                continue
            self.current = receiver
            self.connections += 1
            if self.cursor is None:
                self.cursor = receiver.cursor if not receiver.frames else None
            elif not receiver.recovered:
                self.unrecovered += 1
            seen = 0
            self.first.set()
            while True:
                over = receiver.closed.wait(0.02)
                frames = receiver.frames[seen:]
                seen += len(frames)
                for frame in frames:
                    self.note(frame)
                if over and seen == len(receiver.frames):
                    break
                if self.stopping:
                    receiver.close()
            receiver.close()

    def note(self, frame):
        if self.cursor is not None:
            epoch, offset = position(self.cursor)
            new_epoch, new_offset = position(frame.cursor)
            if new_epoch == epoch and new_offset <= offset:
                self.repeated.append(frame)
        self.frames.append(frame)
        self.cursor = frame.cursor

    @property
    def titles(self):
        return [frame.notification.get("title") for frame in list(self.frames)]

    def wait(self, count, timeout=60):
        until(lambda: len(self.frames) >= count, timeout, lambda: f"{count} frames; {len(self.frames)} came")

    def drop(self):
        """Cuts the present connection, as a phone in a tunnel would."""
        self.current.close()

    def stop(self):
        self.stopping = True
        self.thread.join(60)
