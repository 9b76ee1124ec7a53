"""Locust itself, which takes a second to load: a signal that comes meanwhile ends it without a word."""

import os
import signal
from typing import Any

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        # a handler of our own, because the first process of a container has no default
        signal.signal(number, lambda *_: os._exit(130))
    from locust import main

    start: Any = main.main
    start()
