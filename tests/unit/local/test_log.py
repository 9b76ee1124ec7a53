"""The common log: readable, and never in the way."""

import os
import threading

from local.log import MOST_WAITING, Log


def test_every_line_carries_the_time_and_the_name() -> None:
    reading, writing = os.pipe()
    log = Log(writing, colour=False)
    log.line("vote", "one\ntwo")
    log.close()
    first, second = os.read(reading, 1000).decode().splitlines()
    assert first[8:] == " vote     | one"
    assert second[8:] == " vote     | two"
    os.close(reading)
    os.close(writing)


def test_a_reader_that_went_away_is_told_once() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = Log(writing, colour=False)
    told = threading.Semaphore(0)
    log.on_broken = told.release
    for _ in range(3):
        log.line("vote", "nobody reads this")
    assert told.acquire(timeout=5)
    log.close()
    assert not told.acquire(blocking=False)
    os.close(writing)


def test_a_reader_that_is_slow_holds_up_nobody() -> None:
    """More lines than may wait are left out, and how many is written when there is room again."""
    reading, writing = os.pipe()
    log = Log(writing, colour=False)
    for number in range(3 * MOST_WAITING):
        log.plain(f"line {number} {'x' * 80}")
    pieces: list[bytes] = []

    def read() -> None:
        while piece := os.read(reading, 1 << 20):
            pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    while log.waiting():
        pass
    log.plain("the last")
    log.close()
    os.close(writing)
    reader.join(5)
    os.close(reading)
    assert b"lines left out\nthe last\n" in b"".join(pieces)
