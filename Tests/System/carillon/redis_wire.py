"""A wire to a Redis that loses and delays what it publishes, and what not."""

import socket
import threading
import time

from .proxy import Wire
from .seed import chance


def end(data, at=0):
    """Where the RESP value that begins at `at` ends; None if it is not all there."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, rest, at = data[at:at + 1], data[at + 1:line], line + 2
    if kind == b"$":
        at += int(rest) + 2 if rest != b"-1" else 0
        return at if at <= len(data) else None
    if kind == b"*":
        for _ in range(int(rest)):
            at = end(data, at)
            if at is None:
                return None
    return at


class RedisWire(Wire):
    """`drop` and `delayed`: parts of the published messages that are lost, or come `delay` seconds late; `latency`: seconds
    that every answer waits."""

    def __init__(self, target):
        self.drop = self.delayed = self.delay = self.latency = 0.0
        self.dropped = self.held = 0
        self.random = chance("wire")
        super().__init__(target)

    @property
    def url(self):
        return f"redis://{self.address}"

    def forward(self, source, sink):
        with self.lock:
            is_answer = any(server is source for _, server in self.pairs)
        if is_answer:
            self.answers(source, sink, threading.Lock())
        else:
            super().forward(source, sink)

    def answers(self, source, sink, lock):
        pending = b""
        try:
            while data := source.recv(65536):
                if self.latency:
                    time.sleep(self.latency)
                pending += data
                passed, at = b"", 0
                while (until := end(pending, at)) is not None:
                    value, at = pending[at:until], until
                    if not value.startswith(b"*3\r\n$8\r\nsmessage") or self.passes(value, sink, lock):
                        passed += value
                pending = pending[at:]
                self.send(passed, sink, lock)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def passes(self, value, sink, lock):
        if self.random.random() < self.drop:
            self.dropped += 1
            return False
        if self.random.random() < self.delayed:
            self.held += 1
            timer = threading.Timer(self.delay, self.send, (value, sink, lock))
            timer.daemon = True
            timer.start()
            return False
        return True

    @staticmethod
    def send(value, sink, lock):
        try:
            with lock:
                sink.sendall(value)
        except OSError:
            pass  # it has been cut

    def garble(self):
        """Something that is no RESP on every connection, in the middle of whatever is said, and its end."""
        with self.lock:
            clients = [client for client, _ in self.pairs]
        for client in clients:
            try:
                client.sendall(b"?\x00\xff nonsense\r\n")
            except OSError:
                pass
        self.cut()

    def lead_to(self, target):
        """Once it is up again, connections go to `target` ("host:port")."""
        self.down()
        host, _, port = target.rpartition(":")
        self.target = (host, int(port))
