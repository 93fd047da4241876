"""A WebSocket client that watches channels, and notes all that is said about them as it comes."""

import json

from .clients import WebSocket
from .waiting import until


class Watcher(WebSocket):
    def __init__(self, *arguments, **more):
        self.replies, self.posts, self.tidings, self.place, self.next = {}, [], [], {}, 100
        super().__init__(*arguments, **more)

    def said(self, message):
        push = message.get("push", {})
        channel = push.get("channel", "")
        if "id" in message:
            self.replies[message["id"]] = message
        elif channel.startswith("channel:"):
            if "pub" in push:
                self.posted(channel, push["pub"])
            for kind in ("join", "leave"):
                if kind in push:
                    self.tidings.append((kind, push[kind]["info"]["user"]))
            if "unsubscribe" in push:
                self.tidings.append(("unsubscribe", push["unsubscribe"]["code"]))
        else:
            super().said(message)

    def posted(self, channel, publication):
        self.posts.append((publication["offset"], publication["data"]["title"], publication["data"]["id"]))
        self.place[channel] = (self.place[channel][0], publication["offset"])

    def ask(self, **command):
        """The answer to one command."""
        self.next += 1
        number = self.next
        self.send({"id": number, **command})
        return until(lambda: self.replies.get(number), what=lambda: f"the answer to {json.dumps(command)}")

    def subscribe(self, channel, place=None, **more):
        """Subscribes, from a place on if there is one; the reply, or the error's code."""
        request = {"channel": channel, **more}
        if place:
            request |= {"recover": True, "epoch": place[0], "offset": place[1]}
        # Pushes may follow the reply in the same frame.
        self.place[channel] = place or ("", 0)
        answer = self.ask(subscribe=request)
        if "error" in answer:
            return answer["error"]["code"]
        reply = answer["subscribe"]
        if not place:
            self.place[channel] = (reply["epoch"], max(reply["offset"], self.place[channel][1]))
        first = [(item["offset"], item["data"]["title"], item["data"]["id"]) for item in reply.get("publications", [])]
        self.posts[:0] = first
        if first:
            self.place[channel] = (reply["epoch"], max(first[-1][0], self.place[channel][1]))
        return reply

    @property
    def shown(self):
        return [title for _, title, _ in list(self.posts)]

    def wait_posts(self, count, timeout=60):
        until(lambda: len(self.posts) >= count, timeout, lambda: f"{count} posts; {len(self.posts)} came")
        return self.shown
