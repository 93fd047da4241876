"""A WebSocket over TLS on one thread.

The library's own client reads on a second thread, and Python 3.11 lets two threads into one OpenSSL session: a request that is written
while the other thread reads the session ticket that TLS 1.3 sends after its handshake is lost (seen on the wire: it never leaves).
"""

import collections
import socket
import time

from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.uri import parse_uri


class SecuredWebSocket:
    def __init__(self, port, context, headers, timeout=60):
        self.protocol = ClientProtocol(parse_uri(f"wss://localhost:{port}/connection/websocket"))
        self.heard = collections.deque()
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout), server_hostname="localhost")
        request = self.protocol.connect()
        request.headers.update(headers)
        self.protocol.send_request(request)
        self.flush()
        answer = self.next(time.monotonic() + timeout)
        assert answer.status_code == 101 and self.protocol.handshake_exc is None, (answer, self.protocol.handshake_exc)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text):
        self.protocol.send_text(text.encode())
        self.flush()

    def recv(self, timeout):
        """The text of the next message."""
        deadline = time.monotonic() + timeout
        while (frame := self.next(deadline)).opcode is not Opcode.TEXT:
            assert frame.opcode is not Opcode.CLOSE, frame
        assert frame.fin, frame
        return frame.data.decode()

    def next(self, deadline):
        """The next frame, or the answer to the handshake."""
        while not self.heard:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            data = self.socket.recv(65536)
            assert data, "the server ended the connection"
            self.protocol.receive_data(data)
            self.flush()
            self.heard += self.protocol.events_received()
        return self.heard.popleft()

    def flush(self):
        for data in self.protocol.data_to_send():
            if data:
                self.socket.sendall(data)
