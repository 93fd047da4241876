"""The Centrifuge client protocol's messages for Google's own Protobuf, from the protocol's documentation: what the gateway reads
and says, and nothing else of the protocol. Field by field: name, number, type; `*` is repeated, `{}` a map from texts."""

import json

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MESSAGES = {
    "Error": "code 1 uint32, message 2 string, temporary 3 bool",
    "Command": """id 1 uint32, connect 4 ConnectRequest, subscribe 5 SubscribeRequest, unsubscribe 6 ChannelRequest,
        publish 7 Other, presence 8 ChannelRequest, presence_stats 9 ChannelRequest, history 10 HistoryRequest, ping 11 Other,
        send 12 CallRequest, rpc 13 CallRequest, refresh 14 RefreshRequest, sub_refresh 15 Other""",
    "Reply": """id 1 uint32, error 2 Error, push 4 Push, connect 5 ConnectResult, subscribe 6 SubscribeResult, unsubscribe 7 Other,
        presence 9 PresenceResult, presence_stats 10 PresenceStatsResult, history 11 HistoryResult, rpc 13 CallResult,
        refresh 14 RefreshResult""",
    "Push": """channel 2 string, pub 4 Publication, join 5 Info, leave 6 Info, unsubscribe 7 Unsubscribe, message 8 CallResult,
        subscribe 9 Subscribe""",
    "Other": "channel 1 string, data 2 bytes",
    "ConnectRequest": "token 1 string, data 2 bytes, subs 3 {}SubscribeRequest, name 4 string, version 5 string, flag 7 int64",
    "ConnectResult": """client 1 string, version 2 string, expires 3 bool, ttl 4 uint32, data 5 bytes, subs 6 {}SubscribeResult,
        ping 7 uint32, pong 8 bool""",
    "RefreshRequest": "token 1 string",
    "RefreshResult": "client 1 string, version 2 string, expires 3 bool, ttl 4 uint32",
    "ChannelRequest": "channel 1 string",
    "SubscribeRequest": """channel 1 string, token 2 string, recover 3 bool, epoch 6 string, offset 7 uint64, data 8 bytes,
        positioned 9 bool, recoverable 10 bool, join_leave 11 bool, delta 12 string, flag 14 int64""",
    "SubscribeResult": """recoverable 3 bool, epoch 6 string, publications 7 *Publication, recovered 8 bool, offset 9 uint64,
        positioned 10 bool, was_recovering 12 bool""",
    "Publication": "data 4 bytes, offset 6 uint64, tags 7 {}string",
    "StreamPosition": "offset 1 uint64, epoch 2 string",
    "HistoryRequest": "channel 1 string, limit 7 int32, since 8 StreamPosition, reverse 9 bool",
    "HistoryResult": "publications 1 *Publication, epoch 2 string, offset 3 uint64",
    "ClientInfo": "user 1 string, client 2 string, conn_info 3 bytes",
    "PresenceResult": "presence 1 {}ClientInfo",
    "PresenceStatsResult": "num_clients 1 uint32, num_users 2 uint32",
    "CallRequest": "data 1 bytes, method 2 string",
    "CallResult": "data 1 bytes",
    "Info": "info 1 ClientInfo",
    "Subscribe": "recoverable 1 bool, epoch 4 string, offset 5 uint64, positioned 6 bool",
    "Unsubscribe": "code 2 uint32, reason 3 string",
}
PACKAGE = "carillon.tests"
FIELD = descriptor_pb2.FieldDescriptorProto


def add(message, name, number, kind, label=FIELD.LABEL_OPTIONAL):
    field = message.field.add(name=name, number=number, label=label)
    if kind in MESSAGES or "." in kind:
        field.type, field.type_name = FIELD.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = getattr(FIELD, f"TYPE_{kind.upper()}")


def add_map(message, name, number, kind):
    inner = "".join(part.title() for part in name.split("_")) + "Entry"
    entry = message.nested_type.add(name=inner)
    entry.options.map_entry = True
    add(entry, "key", 1, "string")
    add(entry, "value", 2, kind)
    add(message, name, number, f"{message.name}.{inner}", FIELD.LABEL_REPEATED)


def described():
    file = descriptor_pb2.FileDescriptorProto(name="client.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split(","):
            field, number, kind = field.split()
            if kind.startswith("{}"):
                add_map(message, field, int(number), kind[2:])
            elif kind.startswith("*"):
                add(message, field, int(number), kind[1:], FIELD.LABEL_REPEATED)
            else:
                add(message, field, int(number), kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


POOL = described()
Command, Reply = (message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in ("Command", "Reply"))


def fill(message, values):
    """The message with these values: dictionaries are messages, or maps; of bytes, JSON."""
    for name, value in values.items():
        if isinstance(value, list):
            for one in value:
                fill(getattr(message, name).add(), one)
        elif message.DESCRIPTOR.fields_by_name[name].type == FIELD.TYPE_BYTES and not isinstance(value, bytes):
            setattr(message, name, json.dumps(value).encode())
        elif not isinstance(value, dict):
            setattr(message, name, value)
        elif name == "tags":
            getattr(message, name).update(value)
        elif message.DESCRIPTOR.fields_by_name[name].message_type.GetOptions().map_entry:
            for key, one in value.items():
                fill(getattr(message, name)[key], one)
        else:
            getattr(message, name).SetInParent()
            fill(getattr(message, name), value)
    return message


def command(**values):
    return fill(Command(), values)


def reply(**values):
    return fill(Reply(), values)


def values(message):
    """What a message says, as the JSON codec's would."""
    found = {}
    for field, value in message.ListFields():
        if field.type == FIELD.TYPE_BYTES:
            value = json.loads(value)
        elif field.type == FIELD.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
            value = {key: one if isinstance(one, str) else values(one) for key, one in value.items()}
        elif field.label == FIELD.LABEL_REPEATED:
            value = [values(one) for one in value]
        elif field.type == FIELD.TYPE_MESSAGE:
            value = values(value)
        found[field.name] = value
    return found


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def frame(*messages):
    """Messages, each behind its length."""
    made = [message.SerializeToString(deterministic=True) for message in messages]
    return b"".join(varint(len(one)) + one for one in made)


def replies(content):
    """The replies of one frame; the pings among them are empty."""
    found, at = [], 0
    while at < len(content):
        length, shift = 0, 0
        while True:
            byte, at = content[at], at + 1
            length, shift = length | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        assert at + length <= len(content), "a length beyond the frame"
        found.append(Reply.FromString(content[at:at + length]))
        at += length
    return found
