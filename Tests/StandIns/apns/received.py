"""What the stand-in received, oldest first, by token; bounded."""

import collections
import json

import rules

LIMIT = 200_000  # requests kept in all


class Received:
    def __init__(self, limit=LIMIT):
        self.limit, self.count = limit, 0
        self.all, self.by_token = collections.deque(), {}

    def add(self, token, headers, body, answer, now_ms):
        token = rules.canonical(token)
        entry = (token, answer.apns_id, headers.get("apns-collapse-id"), headers.get("apns-topic"),
                 headers.get("apns-push-type"), headers.get("apns-priority"), body[:8192], answer.status, answer.reason, now_ms)
        self.count += 1
        self.all.append(entry)
        self.by_token.setdefault(token, collections.deque()).append(entry)
        if len(self.all) > self.limit:
            oldest = self.all.popleft()[0]
            entries = self.by_token[oldest]
            entries.popleft()
            if not entries:
                del self.by_token[oldest]

    def clear(self):
        self.all.clear()
        self.by_token.clear()

    def json(self, token=None):
        entries = self.all if token is None else self.by_token.get(rules.canonical(token), ())
        return json.dumps([described(entry) for entry in entries], separators=(",", ":")).encode()


def described(entry):
    token, apns_id, collapse_id, topic, push_type, priority, body, status, reason, at = entry
    try:
        payload = json.loads(body)
    except ValueError:
        payload = None
    fields = {"token": token, "apnsId": apns_id, "collapseId": collapse_id, "topic": topic, "pushType": push_type,
              "priority": int(priority) if priority and priority.isdigit() else priority,
              "payload": payload, "status": status, "at": at}
    if reason is not None:
        fields["reason"] = reason
    return fields
