"""Bounds on time, where a bound is what a test proves: a machine that stands still for a second says nothing about the suite."""

import itertools
import threading
import time


class Watch:
    """Looks at the clock again and again: where a look comes late, nobody was running here."""

    PAUSE, LATE = 0.01, 0.05  # seconds; what is late by less is the scheduler's everyday

    def __init__(self):
        self.gaps, self.looked, self.lock = [], time.time(), threading.Lock()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            time.sleep(self.PAUSE)
            now = time.time()
            with self.lock:
                if now - self.looked > self.PAUSE + self.LATE:
                    self.gaps.append((self.looked, now))
                self.looked = now

    def lost(self, began, ended):
        with self.lock:
            gaps = list(itertools.takewhile(lambda gap: gap[1] > began, reversed(self.gaps)))
            gaps.append((self.looked, time.time()))  # whoever asks may run before the look that is late
        return sum(max(0, min(ended, last) - max(began, first)) for first, last in gaps if last - first > self.PAUSE + self.LATE)


WATCH = Watch()


def lost(began, ended):
    """Of the seconds between two times (`time.time()`), those for which nothing ran here."""
    return WATCH.lost(began, ended)


def took(began, ended=None):
    """Seconds from one time to another, or to now, without those."""
    ended = time.time() if ended is None else ended
    return ended - began - lost(began, ended)
