"""HTTP as a client speaks it; errors are answers too."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def problem(self):
        """The name at the end of a problem document's type (RFC 9457)."""
        return self.json()["type"].rpartition("#")[2]

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


def request(method, url, body=None, headers=None, timeout=60):
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    headers = dict(headers or {})
    if data is not None:
        headers.setdefault("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=timeout) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def answers(url, status=200):
    """Whether a GET is answered with this status; refused connections are a no."""
    try:
        return request("GET", url, timeout=10).status == status
    except (OSError, http.client.HTTPException):
        return False


def quote(text):
    return urllib.parse.quote(text, safe="")


def metrics(operations_url):
    """{"name{labels}": value} of a service."""
    values = {}
    for line in request("GET", operations_url + "/metrics").body.decode().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    return values
