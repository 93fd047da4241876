"""APNs' own side: HTTP/2 over TLS, many streams on one connection (python3-h2)."""

import asyncio
import json

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.frame

BODY_LIMIT = 64 * 1024  # bytes read of a request; what is over it is PayloadTooLarge in any case
CONFIGURATION = h2.config.H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False,
                                          normalize_outbound_headers=False)


class Connection(asyncio.Protocol):
    """One client's connection. All on the asyncio loop."""

    def __init__(self, service, streams):
        self.service, self.streams = service, streams
        self.h2 = h2.connection.H2Connection(CONFIGURATION)
        self.requests, self.provider_tokens = {}, set()
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.h2.local_settings.update({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.streams})
        self.h2.initiate_connection()
        self.flush()

    def connection_lost(self, error):
        self.transport = None
        self.requests.clear()

    def data_received(self, data):
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.flush()
            self.transport.close()
            return
        for event in events:
            self.happened(event)
            if self.transport is None or self.transport.is_closing():
                return
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data and self.transport is not None:
            self.transport.write(data)

    def happened(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id] = (event.headers, bytearray())
        elif isinstance(event, h2.events.DataReceived):
            if event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            request = self.requests.get(event.stream_id)
            if request is not None and len(request[1]) <= BODY_LIMIT:
                request[1].extend(event.data)
        elif isinstance(event, h2.events.StreamEnded):
            request = self.requests.pop(event.stream_id, None)
            if request is not None:
                self.asked(event.stream_id, *request)
        elif isinstance(event, h2.events.StreamReset):
            self.requests.pop(event.stream_id, None)

    def asked(self, stream, header_list, body):
        headers, duplicate = {}, False
        for name, value in header_list:
            duplicate = duplicate or (name in headers and name.startswith("apns-"))
            headers[name] = value
        method, target = headers.get(":method", ""), headers.get(":path", "")
        question = self.service.question(method, target, bytes(body))
        if question is not None:
            self.answer(stream, [(":status", str(question[0])), ("content-type", "application/json")], question[1])
            return
        answer, fault = self.service.push(method, target, headers, duplicate, bytes(body), self.provider_tokens)
        fields = [(":status", str(answer.status)), ("apns-id", answer.apns_id)]
        if answer.status != 200:
            fields.append(("content-type", "application/json"))
        if fault is None:
            self.answer(stream, fields, answer.body())
        else:
            self.fail(stream, fields, answer.body(), fault)

    def fail(self, stream, fields, body, fault):
        kind = fault["kind"]
        if kind == "status":
            if "retryAfter" in fault:
                fields.append(("retry-after", str(fault["retryAfter"])))
            self.answer(stream, fields, body)
        elif kind == "slow":
            asyncio.get_running_loop().call_later(fault.get("delayMs", 1000) / 1000, self.answer_late, stream, fields, body)
        elif kind == "late":
            self.answer(stream, [*fields, ("content-length", str(len(body)))], body, apart=True)
        elif kind == "goaway":
            # Streams from this one on were not taken; h2 itself could not send this and still answer the ones below.
            self.flush()
            self.transport.write(hyperframe.frame.GoAwayFrame(
                last_stream_id=max(0, stream - 2), error_code=0,
                additional_data=json.dumps({"reason": "Shutdown"}).encode()).serialize())
            self.transport.close()
        elif kind in ("reset", "lost"):
            self.transport.abort()

    def answer_late(self, stream, fields, body):
        if self.transport is not None:
            self.answer(stream, fields, body)
            self.flush()

    def answer(self, stream, fields, body, apart=False):
        try:
            self.h2.send_headers(stream, fields, end_stream=not body and not apart)
            if apart and body:
                self.h2.send_data(stream, body)
                body = b""
            while body or apart:
                size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                if size <= 0 and body:  # a list longer than the client's window: plain HTTP has no such bound
                    self.h2.reset_stream(stream, h2.errors.ErrorCodes.FLOW_CONTROL_ERROR)
                    return
                piece, body = body[:size], body[size:]
                self.h2.send_data(stream, piece, end_stream=not body)
                apart = False
        except h2.exceptions.ProtocolError:
            pass  # the client had reset the stream or left
