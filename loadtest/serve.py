"""Locust itself, which takes a second to load: a signal that comes meanwhile ends it without a word."""

import os
import signal
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

if __name__ == "__main__":
    for number in SIGNALS:
        # a handler of our own, because the first process of a container has no default
        signal.signal(number, lambda *_: os._exit(130))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # see launch.py
    from locust import main

    start: Any = main.main
    start()
