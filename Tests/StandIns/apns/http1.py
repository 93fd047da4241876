"""HTTP/1.1 for people and tests: the list of what was received, the fault switch, health."""

import asyncio
import json

HEAD_LIMIT, BODY_LIMIT = 32 * 1024, 1 << 20  # bytes


class Connection(asyncio.Protocol):
    """Keep-alive, one request at a time, Content-Length bodies only."""

    def __init__(self, service):
        self.service, self.bytes, self.transport = service, bytearray(), None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.bytes.extend(data)
        while not self.transport.is_closing():
            end = self.bytes.find(b"\r\n\r\n")
            if end < 0:
                if len(self.bytes) > HEAD_LIMIT:
                    self.respond(431, b"", close=True)
                return
            lines = bytes(self.bytes[:end]).decode("latin-1").split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            length, first = headers.get("content-length", "0"), lines[0].split(" ")
            if len(first) != 3 or not length.isdigit() or int(length) > BODY_LIMIT or "transfer-encoding" in headers:
                self.respond(400, b"", close=True)
                return
            if len(self.bytes) < end + 4 + int(length):
                return
            body = bytes(self.bytes[end + 4:end + 4 + int(length)])
            del self.bytes[:end + 4 + int(length)]
            close = headers.get("connection", "").lower() == "close" or first[2] == "HTTP/1.0"
            answer = self.service.question(first[0], first[1], body)
            if answer is None:
                answer = 404, json.dumps({"reason": "BadPath"}).encode()
            self.respond(*answer, close=close)

    def respond(self, status, body, close):
        head = (f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\nContent-Type: application/json\r\n"
                f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n"
                f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n")
        self.transport.write(head.encode() + body)
        if close:
            self.transport.close()


class Chosen(asyncio.Protocol):
    """Behind TLS: becomes what ALPN agreed on, so that curl without HTTP/2 can ask for the list on the same port."""

    def __init__(self, http2, http1):
        self.http2, self.http1 = http2, http1

    def connection_made(self, transport):
        chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        protocol = self.http2() if chosen == "h2" else self.http1()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
