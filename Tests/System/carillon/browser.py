"""Headless Chromium, driven over its own protocol (CDP)."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.request

import websockets.sync.client

from .waiting import until


class Tab:
    """One page. `errors` holds every exception and failed load of it."""

    def __init__(self, target, width, height):
        self.errors, self.number = [], 0
        self.socket = websockets.sync.client.connect(target, open_timeout=60, max_size=None, proxy=None, compression=None)
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=120))
            if message.get("id") == self.number:
                assert "error" not in message, message["error"]
                return message["result"]
            self.noted(message)

    def noted(self, message):
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.errors.append(message["params"]["entry"]["text"] + " " + message["params"]["entry"].get("url", ""))

    def look(self, dark):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        answer = self.call("Page.navigate", url=url)
        assert not answer.get("errorText"), answer
        until(lambda: self.value("document.readyState") == "complete", what="the page is loaded")

    def value(self, expression):
        """The value of a JavaScript expression in the page; AssertionError with what it threw."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, timeout=60):
        return until(lambda: self.value(expression), timeout, lambda: f"{expression}\n{self.text()[:1500]}\n{self.errors}", every=0.05)

    def text(self):
        return re.sub(r"\n+", "\n", self.value("document.body.innerText"))

    def click(self, selector):
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def shut(self):
        """Ends the page, and what it has open."""
        self.socket.send(json.dumps({"id": 0, "method": "Page.close"}))
        self.socket.close()

    def screenshot(self, file):
        file = pathlib.Path(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


class Browser(Tab):
    """One Chromium and its first page. `flags`: further ones of its command line."""

    def __init__(self, width=1280, height=860, dark=False, flags=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="chromium-"))
        self.socket, self.size, self.tabs = None, (width, height), []
        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
             "--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={self.folder}", f"--window-size={width},{height}",
             *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port_file = self.folder / "DevToolsActivePort"
            until(lambda: port_file.exists() and port_file.read_text().count("\n") >= 1, 120, "Chromium is up")
            self.port = port_file.read_text().split("\n")[0]
            super().__init__(until(self.first_page, what="Chromium has a page"), width, height)
            self.look(dark)
        except BaseException:
            self.close()
            raise

    def ask(self, path, method="GET"):
        """What Chromium itself answers; None while it does not."""
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def first_page(self):
        pages = [entry for entry in self.ask("/json/list") or [] if entry["type"] == "page"]
        return pages and pages[0]["webSocketDebuggerUrl"]

    def tab(self):
        """One more page."""
        self.tabs.append(Tab(self.ask("/json/new", "PUT")["webSocketDebuggerUrl"], *self.size))
        return self.tabs[-1]

    def close(self):
        for tab in self.tabs:
            tab.socket.close()
        if self.socket is not None:
            self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
