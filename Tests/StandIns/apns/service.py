"""What both protocols ask: a push, or a question about what was received."""

import json
import time
import urllib.parse

import rules

TOKENS_PER_CONNECTION = 3  # distinct provider tokens; Apple allows one every 20 minutes


class Service:
    def __init__(self, verifier, topics, received, faults):
        self.verifier, self.topics, self.received, self.faults = verifier, topics, received, faults

    def push(self, method, path, headers, duplicate, body, connection_tokens):
        """Answers (Answer, fault or None). `connection_tokens`: the provider tokens this connection has shown, a set."""
        now = time.time()
        token = rules.device_token(path)
        fault = self.faults.take(token) if token is not None and method == "POST" else None
        if fault is not None and fault["kind"] == "status":
            answer = rules.answer(method, path, headers, duplicate, body, None, self.topics, int(now * 1000))
            answer = rules.Answer(fault["status"], fault["reason"], None, answer.apns_id)
        else:
            authorization = headers.get("authorization")
            refusal = self.verifier.refusal(authorization, now)
            if refusal is None:
                connection_tokens.add(authorization)
                if len(connection_tokens) > TOKENS_PER_CONNECTION:
                    refusal = 429, "TooManyProviderTokenUpdates"
            answer = rules.answer(method, path, headers, duplicate, body, refusal, self.topics, int(now * 1000))
        if token is not None and method == "POST" and (fault is None or fault["kind"] not in ("goaway", "reset")):
            self.received.add(token, headers, body, answer, int(now * 1000))
        return answer, fault

    def question(self, method, target, body):
        """(status, body) for what is not Apple's: the list, the switch, health; None if it is none of these."""
        parts = urllib.parse.urlsplit(target)
        query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
        if parts.path == "/received" and method == "GET":
            return 200, self.received.json(query["token"][0] if "token" in query else None)
        if parts.path == "/received" and method == "DELETE":
            self.received.clear()
            return 200, b"[]"
        if parts.path == "/health" and method == "GET":
            return 200, json.dumps({"received": self.received.count}).encode()
        if parts.path == "/fault" and method == "GET":
            return 200, json.dumps(self.faults.waiting).encode()
        if parts.path == "/fault" and method == "POST":
            try:
                self.faults.set(json.loads(body))
            except ValueError as error:
                return 400, json.dumps({"error": str(error)}).encode()
            return 200, json.dumps(self.faults.waiting).encode()
        return None
