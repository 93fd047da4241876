"""The fault switch: what the next requests meet instead of their answer.

POST /fault with {"kind": …, "count": n}; kinds:
  status   "status" 503|500|429|…, "reason" (by default Apple's for that status), "retryAfter" seconds
  slow     the true answer, "delayMs" late
  silent   no answer at all
  late     a true 200 whose END_STREAM comes in an empty DATA frame of its own
  goaway   GOAWAY (Shutdown) below this request's stream, then the connection closes
  reset    the connection is cut
  lost     the request is taken and recorded, then the connection is cut before the answer: what a retry doubles
A "prefix" limits it to device tokens that begin so. A count of 0 takes all faults away. GET /fault says what is left."""

REASONS = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable"}
KINDS = ("status", "slow", "silent", "late", "goaway", "reset", "lost")


class Faults:
    def __init__(self):
        self.waiting = []

    def set(self, fault):
        """Raises ValueError for what is no fault."""
        if not isinstance(fault, dict) or type(fault.get("count")) is not int:
            raise ValueError("a fault is an object with a kind and a count")
        if fault["count"] <= 0:
            self.waiting = []
            return
        if fault.get("kind") not in KINDS:
            raise ValueError("kind is one of " + ", ".join(KINDS))
        if fault["kind"] == "status":
            fault["status"] = int(fault.get("status", 503))
            fault.setdefault("reason", REASONS.get(fault["status"], "InternalServerError"))
        self.waiting.append(fault)

    def take(self, token):
        for fault in self.waiting:
            if (token or "").startswith(fault.get("prefix", "")):
                fault["count"] -= 1
                if fault["count"] == 0:
                    self.waiting.remove(fault)
                return fault
        return None
