"""SDKs that others wrote, unmodified, with their events as tuples: one form for Python, node, a browser and Java, in both codecs."""

import asyncio
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import threading
import urllib.parse

import centrifuge

SCRIPT = pathlib.Path(__file__).parent / "client.js"


class TokenServer:
    """What an application's backend is to getToken: mints a token at each request."""

    def __init__(self, mint):
        self.minted = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                self.minted += 1
                body = mint().encode()
                handler.send_response(200)
                handler.send_header("Access-Control-Allow-Origin", "*")
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *_):
                pass
        self.mint, self.server = mint, http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def token(self):
        self.minted += 1
        return self.mint()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class PythonClient:
    """centrifuge-python on a loop and thread of its own."""

    name = "python"
    protobuf = False

    def __init__(self, url, token="", tokens=None):
        self.events = []
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

        async def make():
            options = {"token": token or "", "use_protobuf": self.protobuf}
            if tokens:
                async def fresh():
                    return tokens.token()
                options["get_token"] = fresh
            client = centrifuge.Client(url, events=ClientEvents(self.events), min_reconnect_delay=0.05, max_reconnect_delay=0.3,
                                       timeout=30, proxy=None, **options)
            await client.connect()
            return client
        self.client = self.run(make())

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def order(self, command, *rest):
        async def watch(channel):
            self.watched = self.client.new_subscription(channel, events=WatchEvents(self.events), join_leave=True, recoverable=True,
                                                        positioned=True)
            await self.watched.subscribe()

        async def presence():
            found, stats = await self.watched.presence(), await self.watched.presence_stats()
            self.events.append(("presence", sorted(info.user for info in found.clients.values()), stats.num_clients, stats.num_users))

        async def history():
            found = await self.watched.history(limit=100)
            self.events.append(("history", [value(publication.data)["title"] for publication in found.publications]))

        async def call(method, data):
            data = json.dumps(data).encode() if self.protobuf else data
            self.events.append(("answer", method, value((await self.client.rpc(method, data)).data)))

        async def unwatch():
            await self.watched.unsubscribe()

        async def flap(channel):
            await watch(channel)
            await self.watched.unsubscribe()
            await self.watched.subscribe()
        self.run({"watch": watch, "presence": presence, "history": history, "call": call, "unwatch": unwatch, "flap": flap}[command](*rest))

    def close(self):
        async def end():
            await self.client.disconnect()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)


class PythonProtobufClient(PythonClient):
    name = "python-protobuf"
    protobuf = True


def value(data):
    """What a publication or an answer holds: in Protobuf it is bytes, of the same JSON."""
    return json.loads(data) if isinstance(data, bytes) else data


class ClientEvents(centrifuge.ClientEventHandler):
    def __init__(self, events):
        self.events = events

    async def on_connected(self, context):
        self.events.append(("connected",))

    async def on_connecting(self, context):
        self.events.append(("connecting", context.code))

    async def on_disconnected(self, context):
        self.events.append(("disconnected", context.code, context.reason))

    async def on_subscribed(self, context):
        self.events.append(("subscribed", context.channel, context.was_recovering, context.recovered))

    async def on_unsubscribed(self, context):
        self.events.append(("unsubscribed", context.channel))

    async def on_publication(self, context):
        self.events.append(("publication", context.channel, value(context.pub.data)["title"], context.pub.tags["cursor"]))

    async def on_error(self, context):
        self.events.append(("error", context.code))


class WatchEvents(centrifuge.SubscriptionEventHandler):
    """Of a subscription that the client asked for, a channel's."""

    def __init__(self, events):
        self.events = events

    async def on_subscribed(self, context):
        self.events.append(("watching", context.was_recovering, context.recovered))

    async def on_publication(self, context):
        self.events.append(("seen", value(context.pub.data)["title"]))

    async def on_join(self, context):
        self.events.append(("join", context.info.user))

    async def on_leave(self, context):
        self.events.append(("leave", context.info.user))

    async def on_error(self, context):
        self.events.append(("refused", context.code))

    async def on_unsubscribed(self, context):
        self.events.append(("unwatched", context.code))


class NodeClient:
    """The JavaScript SDK under node, which prints one event a line."""

    name = "node"
    protobuf = False

    def __init__(self, url, token=None, tokens=None):
        self.events = []
        options = {"url": url, "token": token, "tokens": tokens and tokens.url, "protobuf": self.protobuf}
        self.process = subprocess.Popen(["node", SCRIPT, json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=os.environ | {"NODE_PATH": "/usr/share/nodejs"})
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.events.append(tuple(json.loads(line)))

    def order(self, *command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def close(self):
        self.process.kill()
        self.process.wait()


class NodeProtobufClient(NodeClient):
    name = "node-protobuf"
    protobuf = True


class JavaClient(NodeClient):
    """The Java SDK, Android's and Kotlin's too, which speaks Protobuf only. Compiled once, by the fixture."""

    name = "java"
    classes = None  # set by the fixture

    def __init__(self, url, token=None, tokens=None):
        self.events = []
        path = f"{os.environ['CENTRIFUGE_JAVA']}/*:{self.classes}"
        self.process = subprocess.Popen(["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", path, "SDKClient", url, token or "",
                                         tokens.url if tokens else ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    @classmethod
    def compile(cls, folder):
        subprocess.run(["javac", "-cp", os.environ["CENTRIFUGE_JAVA"] + "/*", "-d", folder, SCRIPT.with_name("SDKClient.java")], check=True)
        cls.classes = folder

    def read(self):
        for line in self.process.stdout:
            name, *rest = json.loads(line)
            if name in ("publication", "seen", "history"):
                rest = [titles(part) for part in rest]
            self.events.append((name, *rest))

    def order(self, name, *rest):
        parts = [part if isinstance(part, str) else json.dumps(part) for part in (name, *rest)]
        self.process.stdin.write("\t".join(parts) + "\n")
        self.process.stdin.flush()


def titles(part):
    if isinstance(part, list):
        return [titles(one) for one in part]
    return part["title"] if isinstance(part, dict) else part


class ChromiumClient:
    """The JavaScript SDK in a page, of the origin that it connects to."""

    name = "chromium"
    browser = None  # set by the fixture

    def __init__(self, url, token=None, tokens=None):
        self.tab, place = self.browser.tab(), urllib.parse.urlsplit(url).netloc
        # Nothing is served there, and it is a page of that origin all the same.
        self.tab.open(f"http://{place}/no/page")
        self.tab.value(pathlib.Path(os.environ["CENTRIFUGE_JS_BROWSER"]).read_text() + "\n;window.Centrifuge = Centrifuge; null")
        options = {"url": url, "token": token, "tokens": tokens and tokens.url}
        self.tab.value(SCRIPT.read_text() + f"""
            window.events = [];
            window.order = follow(Centrifuge, {json.dumps(options)}, (...event) => events.push(event)); null""")

    @property
    def events(self):
        return [tuple(event) for event in self.tab.value("events")]

    def order(self, *command):
        self.tab.value(f"order(...{json.dumps(command)}), null")

    def close(self):
        self.tab.shut()


def missing(name):
    """Why this SDK cannot be tested here; None if it can."""
    if name == "node" and not os.environ.get("CENTRIFUGE_JS"):
        return "CENTRIFUGE_JS is not set: the JavaScript SDK is not tested under node"
    if name == "node-protobuf" and not os.environ.get("CENTRIFUGE_JS_PROTOBUF"):
        return "CENTRIFUGE_JS_PROTOBUF is not set: the JavaScript SDK is not tested in Protobuf"
    if name == "java" and not os.environ.get("CENTRIFUGE_JAVA"):
        return "CENTRIFUGE_JAVA is not set: the Java SDK is not tested"
    if name == "java" and not shutil.which("javac"):
        return "javac is not installed: the Java SDK is not tested"
    if name.startswith("node") and not shutil.which("node"):
        return "node is not installed: the JavaScript SDK is not tested under it"
    if name == "chromium" and not os.environ.get("CENTRIFUGE_JS_BROWSER"):
        return "CENTRIFUGE_JS_BROWSER is not set: the JavaScript SDK is not tested in a browser"
    if name == "chromium" and not shutil.which("chromium"):
        return "Chromium is not installed: the JavaScript SDK is not tested in it"
    return None


SDKS = {kind.name: kind for kind in (PythonClient, NodeClient, ChromiumClient, PythonProtobufClient, NodeProtobufClient, JavaClient)}


def publications(client):
    return [event[2] for event in list(client.events) if event[0] == "publication"]


def count(client, name):
    return sum(event[0] == name for event in list(client.events))
