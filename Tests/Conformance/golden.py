"""Writes golden.txt, by Google's Protobuf: on each line a name, and a frame in hexadecimal. `$(Tests/setup) Tests/Conformance/golden.py`"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "System"))
from carillon.client_protocol import command, frame, reply  # noqa: E402

ENTRIES = [{"offset": 4, "data": b'{"a":1}'}, {"offset": 5, "data": b"{}"}]
TAGGED = [{**entry, "tags": {"cursor": f"1.5-{entry['offset']}"}} for entry in ENTRIES]
PLACE = {"recoverable": True, "positioned": True, "epoch": "5", "offset": 3}
INFO = {"user": 'a"b', "client": "c", "conn_info": b'{"x": 1}'}
ROOM = "channel:ä room"

COMMANDS = {
    "pong": [{}],
    "pongs and a refresh": [{}, {"id": 7, "refresh": {"token": "t"}}, {}],
    "connect": [{"id": 1, "connect": {
        "token": "täken", "name": "java", "version": "0.4.1", "data": b"\x00\xff", "flag": 3,
        "subs": {"other": {"recover": True, "epoch": "9"}, "inbox": {"recover": True, "epoch": "5", "offset": 2**63 + 3}}}}],
    "connect without anything": [{"id": 2**32 - 1, "connect": {}}],
    "connect that knows no epoch": [{"id": 1, "connect": {"subs": {"inbox": {"recover": True}}}}],
    "connect that recovers nothing": [{"id": 1, "connect": {"subs": {"inbox": {"epoch": "5", "offset": 3}}}}],
    "subscribe": [{"id": 2, "subscribe": {
        "channel": ROOM, "token": "x", "recover": True, "epoch": "5", "offset": 3, "join_leave": True, "flag": 3,
        "positioned": True, "recoverable": True, "data": b"{}", "delta": "fossil"}}],
    "unsubscribe": [{"id": 3, "unsubscribe": {"channel": ROOM}}],
    "presence": [{"id": 4, "presence": {"channel": ROOM}}],
    "presence stats": [{"id": 5, "presence_stats": {"channel": ROOM}}],
    "history": [{"id": 6, "history": {"channel": ROOM, "limit": -1, "reverse": True, "since": {"epoch": "5", "offset": 7}}}],
    "history from the start": [{"id": 6, "history": {"channel": ROOM, "limit": 3}}],
    "history since any epoch": [{"id": 6, "history": {"channel": ROOM, "since": {"offset": 7}}}],
    "history since the first": [{"id": 6, "history": {"channel": ROOM, "since": {}}}],
    "rpc": [{"id": 8, "rpc": {"method": "ack", "data": b'{"epoch":"7","offset":3}'}}],
    "rpc without data": [{"id": 8, "rpc": {"method": "pause"}}],
    "rpc of another method": [{"id": 8, "rpc": {"method": "a method of more than sixteen bytes"}}],
    "rpc with broken data": [{"id": 8, "rpc": {"method": "pause", "data": b"{} x"}}],
    "send": [{"send": {"data": b'{"method":"read","cursor":"1.7-3"}'}}],
    "unserved": [{"id": 1, "publish": {"channel": "c"}}, {"id": 2, "ping": {}}, {"id": 3, "sub_refresh": {"channel": "c"}}],
}
REPLIES = {
    "reply error": {"id": 7, "error": {"code": 100, "message": "temporarily unavailable", "temporary": True}},
    "reply refresh": {"id": 7, "refresh": {"client": "c", "version": "v", "expires": True, "ttl": 9}},
    "reply connect": {"id": 7, "connect": {
        "client": "c", "version": "v", "expires": True, "ttl": 9, "ping": 25, "pong": True, "data": b"{}",
        "subs": {"inbox": {**PLACE, "recovered": True, "was_recovering": True, "publications": TAGGED}}}},
    "reply subscribe": {"id": 7, "subscribe": PLACE},
    "reply subscribe that recovered": {"id": 7, "subscribe": {
        **PLACE, "recovered": True, "was_recovering": True, "publications": ENTRIES}},
    "reply unsubscribe": {"id": 7, "unsubscribe": {}},
    "reply history": {"id": 7, "history": {"publications": ENTRIES, "epoch": "5", "offset": 3}},
    "reply presence": {"id": 7, "presence": {"presence": {"g#1.2.3": INFO}}},
    "reply presence stats": {"id": 7, "presence_stats": {"num_clients": 3, "num_users": 2}},
    "reply rpc": {"id": 7, "rpc": {"data": b'{"unread":1}'}},
    "push message": {"push": {"message": {"data": b"{}"}}},
    "push inbox": {"push": {"channel": "inbox", "subscribe": PLACE}},
    "push post": {"push": {"channel": ROOM, "pub": {"offset": 8, "data": b"{}" * 200}}},
    "push join": {"push": {"channel": ROOM, "join": {"info": INFO}}},
    "push leave": {"push": {"channel": ROOM, "leave": {"info": INFO}}},
    "push unsubscribe": {"push": {"channel": ROOM, "unsubscribe": {"code": 2500, "reason": "insufficient state"}}},
}


def lines():
    for name, messages in COMMANDS.items():
        yield f"{name}\t{frame(*(command(**message) for message in messages)).hex()}\n"
    for name, message in REPLIES.items():
        yield f"{name}\t{frame(reply(**message)).hex()}\n"


pathlib.Path(__file__).with_name("golden.txt").write_text("".join(lines()))
