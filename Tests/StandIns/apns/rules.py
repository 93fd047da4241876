"""What APNs answers, as pure functions: "Sending notification requests to APNs" and "Handling notification responses
from APNs". No socket and no clock in here."""

import json
import re
import uuid

PUSH_TYPES = {"alert", "background", "controls", "location", "voip", "complication", "fileprovider", "mdm", "liveactivity",
              "pushtotalk", "widgets"}
PATH = re.compile(r"/3/device/([^/?#]*)\Z")
TOKEN = re.compile(r"[0-9A-Za-z_-]{1,200}\Z")
HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+\Z")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
PAYLOAD_LIMIT, VOIP_PAYLOAD_LIMIT, COLLAPSE_ID_LIMIT = 4096, 5120, 64  # bytes
LONG_AGO = 30 * 86_400_000  # ms


class Answer:
    __slots__ = ("status", "reason", "timestamp", "apns_id")

    def __init__(self, status, reason=None, timestamp=None, apns_id=None):
        self.status, self.reason, self.timestamp, self.apns_id = status, reason, timestamp, apns_id

    def body(self):
        if self.status == 200:
            return b""
        fields = {"reason": self.reason}
        if self.timestamp is not None:
            fields["timestamp"] = self.timestamp
        return json.dumps(fields, separators=(",", ":")).encode()


def device_token(path):
    """The token that a path names, or None if it is not the path of a device."""
    match = PATH.match(path)
    return match.group(1) if match else None


def canonical(token):
    """Apple's tokens are hexadecimal and the same in either case; the others of this stand-in are as they are."""
    return token.lower() if HEXADECIMAL.match(token) else token


def answer(method, path, headers, duplicate, body, refusal, topics, now_ms):
    """`headers` by lower-case name; `duplicate`: an apns- header stood there twice; `refusal`: what the provider token
    earned; `now_ms`: wall clock. Always answers with an apns-id, the request's own if it brought a valid one."""
    given = headers.get("apns-id")
    apns_id = given.lower() if given and UUID.match(given) else str(uuid.uuid4())
    status, reason, timestamp = judge(method, path, headers, duplicate, body, refusal, topics, now_ms)
    return Answer(status, reason, timestamp, apns_id)


def judge(method, path, headers, duplicate, body, refusal, topics, now_ms):
    token = device_token(path)
    if token is None:
        return 404, "BadPath", None
    if method != "POST":
        return 405, "MethodNotAllowed", None
    if refusal is not None:
        return (*refusal, None)
    bad = bad_header(headers, duplicate, topics)
    if bad is not None:
        return 400, bad, None
    if not holds_payload(body):
        return 400, "PayloadEmpty", None
    if len(body) > (VOIP_PAYLOAD_LIMIT if headers["apns-push-type"] == "voip" else PAYLOAD_LIMIT):
        return 413, "PayloadTooLarge", None
    if not token:
        return 400, "MissingDeviceToken", None
    lower = token.lower()
    if lower.startswith("deadold"):  # gone long ago: whoever has registered it since must keep it
        return 410, "Unregistered", now_ms - LONG_AGO
    if lower.startswith("dead"):
        return 410, "Unregistered", now_ms
    if lower.startswith("expired"):
        return 410, "ExpiredToken", now_ms
    if lower.startswith("othertopic"):
        return 400, "DeviceTokenNotForTopic", None
    if lower.startswith("bad") or not TOKEN.match(token):
        return 400, "BadDeviceToken", None
    return 200, None, None


def holds_payload(body):
    """Apple names no reason for what is not a JSON object; there is no payload in it, and a test should hear of it."""
    if len(body) > VOIP_PAYLOAD_LIMIT:
        return True
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def bad_header(headers, duplicate, topics):
    if duplicate:
        return "DuplicateHeaders"
    if headers.get("apns-push-type") not in PUSH_TYPES:
        return "InvalidPushType"
    if "apns-id" in headers and not UUID.match(headers["apns-id"]):
        return "BadMessageId"
    if headers.get("apns-priority", "10") not in ("1", "5", "10"):
        return "BadPriority"
    if not re.fullmatch(r"[0-9]{1,10}", headers.get("apns-expiration", "0")):
        return "BadExpirationDate"
    if len(headers.get("apns-collapse-id", "").encode()) > COLLAPSE_ID_LIMIT:
        return "BadCollapseId"
    topic = headers.get("apns-topic")
    if not topic:
        return "MissingTopic"
    return None if topic in topics else "BadTopic"
