"""The page at the edge's `/`, in headless Chromium. UPDATE_SCREENSHOT=1 takes the README's picture of it."""

import os

import pytest

from carillon import http, kafka
from carillon.browser import Browser
from carillon.processes import ROOT
from carillon.servers import Edge
from carillon.waiting import until

LIVE = "document.querySelector('#state').dataset.state === 'live'"
TITLES = "[...document.querySelectorAll('.note b')].map((note) => note.textContent)"
TEXTS = "[...document.querySelectorAll('.note p')].map((note) => note.textContent)"
PHONE = "[...document.querySelectorAll('.push p')].map((push) => push.textContent)"


@pytest.fixture
def browser():
    with Browser(1280, 960) as opened:
        yield opened


def write(browser, text, type, to=None):
    if to:
        browser.click(f"input[name=to][value={to}]")
    browser.value(f"document.querySelector('#said').textContent = '', document.querySelector('#text').value = {text!r}")
    browser.click(f'[data-send="{type}"]')
    browser.until("document.querySelector('#said').textContent.startsWith('Accepted')")


def test_the_page(cluster, browser):
    browser.open(cluster.edge_url + "/?as=bob")
    browser.until(LIVE)
    assert browser.value("document.querySelector('#inbox-title').textContent") == "Bob’s inbox"
    write(browser, "Lunch at the usual place?", "message.direct", "bob")
    browser.until(f"{TEXTS}.includes('Lunch at the usual place?')")
    write(browser, "Have a look at this.", "social.mention", "bob")
    write(browser, "", "transaction.payment", "bob")
    write(browser, "The bells are up.", "channel.post")
    write(browser, "See you tomorrow.", "message.direct", "erin")
    browser.until(f"{TITLES}.length >= 4")
    browser.until(f"{PHONE}.includes('See you tomorrow.') && {PHONE}.includes('The bells are up.')")
    assert browser.value(TITLES)[1] == "Payment received" or "Payment received" in browser.value(TITLES)
    until(lambda: int(browser.value("document.querySelector('#unread').textContent")) == cluster.inbox("bob")["unread"], what="what is unread")
    assert browser.value("document.querySelector('#latest').textContent") != "–", "the latency is shown"
    assert "See you tomorrow." not in browser.value(TEXTS), "what is Erin's is not Bob's"
    browser.click("#toggle")
    browser.until("document.querySelector('#state').dataset.state === 'off'")
    write(browser, "While you were away", "message.direct", "bob")
    until(lambda: "While you were away" in str(cluster.inbox("bob")["notifications"]), what="it is in the inbox")
    assert "While you were away" not in browser.value(TEXTS)
    browser.click("#toggle")
    browser.until(f"{LIVE} && {TEXTS}[0] === 'While you were away'")
    assert browser.value("document.querySelector('#caught').textContent") == "1"
    if os.environ.get("UPDATE_SCREENSHOT"):
        browser.click(".note:last-child .check")
        browser.value("new Promise((resolve) => setTimeout(resolve, 3200))")
        browser.screenshot(ROOT / "docs/images/demo.png")
    assert browser.errors == []


def test_a_person_reads_and_the_badge_falls_on_both_tabs(cluster, browser):
    badge = "(document.querySelector('#unread').hidden ? 0 : Number(document.querySelector('#unread').textContent))"
    dots = "document.querySelectorAll('.note.unread').length"
    tabs = [browser, browser.tab()]
    for tab in tabs:
        tab.open(cluster.edge_url + "/?as=alice")
        tab.until(LIVE)
    if before := browser.value(badge):
        browser.click("#read-all")
        browser.until(f"{badge} === 0")
    for number in range(3):
        write(browser, f"to be read {number}", "message.direct", "alice")
    for tab in tabs:
        tab.until(f"{badge} === 3 && {dots} === 3")
    browser.click(".note.unread .check")
    for tab in tabs:
        tab.until(f"{badge} === 2")
    assert browser.value(dots) == 2 and cluster.inbox("alice")["unread"] == 2
    tabs[1].click("#read-all")
    for tab in tabs:
        tab.until(f"{badge} === 0 && {dots} === 0 && document.querySelector('#read-all').hidden && document.title === 'Carillon'")
    assert cluster.inbox("alice")["unread"] == 0, before
    browser.open(cluster.edge_url + "/?as=alice")
    browser.until(LIVE)
    assert browser.value(badge) == 0 and browser.value(dots) == 0
    assert all(tab.errors == [] for tab in tabs)


def test_with_a_secret_of_ones_own_the_page_says_why(cluster, browser, tmp_path):
    own = {"PUBLIC_URL": "", "TOKEN_SECRET": "a secret of one's own, long enough", "API_KEY": "a key of one's own, too"}
    gateway = cluster.extra("gateway", "gateway-of-ones-own", own)
    edge = Edge(tmp_path, {"gateway": [gateway.url.removeprefix("http://")]}, "edge-of-ones-own")
    edge.start()
    try:
        browser.open(edge.url + "/?as=bob")
        browser.until("document.querySelector('#state').dataset.state === 'refused'")
        words = browser.value("document.querySelector('#alarm').hidden ? '' : document.querySelector('#alarm').textContent")
        assert "TOKEN_SECRET" in words and "carillonctl" in words and words.startswith("This page cannot sign in: “401"), words
    finally:
        edge.end()
        gateway.end()


def test_an_event_source_survives_the_death_of_gateways(cluster, browser):
    """Through the edge it comes back by itself, with its cursor; nothing is missing and nothing is there twice."""
    browser.open(cluster.edge_url + "/?as=carol")
    browser.until(LIVE)
    before = browser.value(TITLES)
    titles = []
    for round in range(3):
        for gateway in cluster.gateways:
            gateway.kill()
        titles += [f"in the dark {round} {number}" for number in range(3)]
        kafka.produce(cluster.broker.address, "events.system-tests",
                      [kafka.event("message.direct", {"user": "carol"}, title=title) for title in titles[-3:]])
        for gateway in cluster.gateways:
            gateway.start()
        browser.until(f"{LIVE} && {TITLES}.includes({titles[-1]!r})")
    shown = browser.value(TITLES)
    assert shown == titles[::-1] + before
    assert browser.value("session.source.readyState") == 1


def test_another_person_in_the_dark(cluster):
    with Browser(420, 900, dark=True) as browser:
        browser.open(cluster.edge_url + "/?as=dave")
        browser.until(LIVE)
        browser.click("input[name=person][value=alice]")
        browser.until(f"{LIVE} && document.querySelector('#inbox-title').textContent === 'Alice’s inbox'")
        assert browser.value("document.documentElement.scrollWidth <= innerWidth"), "no sideways scrolling on a phone"
        until(lambda: cluster.online("alice", "dave") == [{"user": "alice", "online": True, "connections": 1},
                                                           {"user": "dave", "online": False, "connections": 0}], what="she, not he")


def test_the_page_needs_no_foreign_host(cluster):
    page = http.request("GET", cluster.edge_url + "/")
    import re
    hosts = set(re.findall(rb"(?:https?:)?//([a-z0-9.-]+\.[a-z]+)", page.body)) - {b"www.w3.org"}
    assert hosts == set()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
