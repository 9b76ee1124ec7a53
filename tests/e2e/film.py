"""Films the README's moving picture from the real pages: phones vote, the worker is killed, the numbers catch up.

`make picture` runs it and writes docs/pictures/tallyho.webp. The time in the picture is the time it took.
"""

import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from itertools import cycle
from pathlib import Path

import httpx
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from proof.kill import kill
from tests.e2e.browsers import arguments, find_browser
from tests.e2e.pages import expect_state, vote
from tests.system import PROJECT, System, running_system

PICTURE = PROJECT / "docs" / "pictures" / "tallyho.webp"
MOST_BYTES = 1_500_000

PHONE = ViewportSize(width=330, height=590)
DASHBOARD = ViewportSize(width=700, height=590)
STRIP = ViewportSize(width=1444, height=132)
SIZE = (1492, 830)
SHOWN_WIDTH = 1168
BACKGROUND, BEZEL = "#d9dcdc", "#1d2327"

# When what happens, in seconds from the first frame.
ONE_PHONE, OTHER_PHONE, KILLS_BEGIN, CHANGE_OF_MIND, KILLS_END, CROWD_ENDS, LATEST_END = 1.5, 3, 4.5, 6, 8.5, 11, 30
VOTES_PER_SECOND = 20
LAST_FRAME_SECONDS = 4.0

LOOK = """<style>
  body { margin: 0; background: #1d2327; color: #d7dedc; font: 17px/1.5 'DejaVu Sans Mono', monospace; }
  main { display: flex; gap: 48px; padding: 14px 22px; }
  b { color: #fff; font-size: 24px; } .behind b { color: #ffb454; } .log { white-space: pre; overflow: hidden; }
  dl { margin: 0; display: grid; grid-template-columns: auto auto; column-gap: 18px; line-height: 1.9; }
  dd { margin: 0; text-align: right; } .typed { color: #ffb454; }
</style>"""


class Crowd:
    """Votes again and again, each time as a new voter, and counts the votes that were accepted."""

    def __init__(self, url: str) -> None:
        self.accepted = 0
        self._url = url
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._vote)

    @contextmanager
    def voting(self) -> Iterator[None]:
        """Vote meanwhile."""
        self._thread.start()
        try:
            yield
        finally:
            self.leave()
            self._thread.join()

    def leave(self) -> None:
        """Vote no more."""
        self._is_over.set()

    def _vote(self) -> None:
        with httpx.Client(timeout=10) as client:
            for option in cycle("aabababbaab"):
                if self._is_over.wait(1 / VOTES_PER_SECOND):
                    return
                answer = client.post(f"{self._url}/api/votes", json={"vote": option})
                client.cookies.clear()
                self.accepted += answer.status_code == httpx.codes.ACCEPTED


class Film:
    """Two phones, a dashboard and a terminal, frame by frame."""

    def __init__(self, browser: Browser, system: System) -> None:
        self._system = system
        facts = system.wait_until_ready()
        self.crowd = Crowd(facts.vote_url)
        self.phones = [_page(browser, PHONE, facts.vote_url) for _ in range(2)]
        self.told = 0
        self._voted = set[int]()
        self._killed: list[int] = []
        self._dashboard = _page(browser, DASHBOARD, facts.result_url)
        self._strip = _page(browser, STRIP, "about:blank")
        self._frames: list[Image.Image] = []
        self._times: list[float] = []
        expect_state(self._dashboard, "live")

    def shoot(self) -> None:
        """Let it happen, and take frames until the dashboard has caught up."""
        plan: list[tuple[float, Callable[[], None]]] = [
            (ONE_PHONE, lambda: self._vote(0, "Cats")),
            (OTHER_PHONE, lambda: self._vote(1, "Dogs")),
            (CHANGE_OF_MIND, lambda: self._vote(0, "Dogs")),
            (CROWD_ENDS, self.crowd.leave),
        ]
        began = time.monotonic()
        with self.crowd.voting():
            while plan or self._shown() < self.crowd.accepted + len(self._voted):
                now = time.monotonic() - began
                if now > LATEST_END:
                    raise TimeoutError(f"the dashboard has not caught up in {LATEST_END} s")
                if plan and plan[0][0] <= now:
                    plan.pop(0)[1]()
                if KILLS_BEGIN <= now < KILLS_END:
                    self._kill_worker()
                self._take(now)
            self._take(time.monotonic() - began)

    def keep(self, path: Path) -> None:
        """Write the frames, each for as long as it was to be seen."""
        ends = [*self._times[1:], self._times[-1] + LAST_FRAME_SECONDS]
        durations = [round((end - begin) * 1000) for begin, end in zip(self._times, ends, strict=True)]
        first, *others = self._frames
        first.save(path, save_all=True, append_images=others, duration=durations, loop=0, quality=72, method=6)

    def _vote(self, number: int, label: str) -> None:
        vote(self.phones[number], label)
        self._voted.add(number)

    def _kill_worker(self) -> None:
        process = self._system.facts().pids.get("worker")
        if process and process not in self._killed:
            kill(process)
            self._killed.append(process)

    def _shown(self) -> int:
        text = self._dashboard.locator("#total").inner_text()
        return int(re.sub(r"\D", "", text) or 0)

    def _take(self, now: float) -> None:
        canvas = Image.new("RGB", SIZE, BACKGROUND)
        for x, page in zip((32, 396), self.phones, strict=True):
            _paste(canvas, page, (x, 32), bezel=8)
        _paste(canvas, self._dashboard, (760, 32), bezel=8)
        shown, accepted = self._shown(), self.crowd.accepted + len(self._voted)
        self._strip.set_content(LOOK + _strip(accepted, shown, self._terminal()))
        _paste(canvas, self._strip, (24, 664), bezel=0)
        height = SIZE[1] * SHOWN_WIDTH // SIZE[0]
        self._frames.append(canvas.resize((SHOWN_WIDTH, height), Image.Resampling.LANCZOS))
        self._times.append(now)

    def _terminal(self) -> list[str]:
        """What was typed, and the end of what `make up` has written about the worker."""
        said = [line for line in self._system.log.read_text(errors="replace").splitlines() if "worker" in line]
        typed = [f"$ kill -9 {process}   # the worker" for process in self._killed[-1:]]
        return [*(typed or ["$ make up"]), *said[-3:]]


def _page(browser: Browser, viewport: ViewportSize, url: str) -> Page:
    page = browser.new_context(viewport=viewport, color_scheme="light").new_page()
    page.goto(url)
    return page


def _strip(accepted: int, shown: int, lines: list[str]) -> str:
    typed, *said = (escape(line[:108]) for line in lines)
    behind = ' class="behind"' if shown < accepted else ""
    log = f'<span class="typed">{typed}</span>\n' + "\n".join(said)
    return f"""<main><dl{behind}><dt>accepted</dt><dd><b>{accepted}</b></dd><dt>on the dashboard</dt>
      <dd><b>{shown}</b></dd></dl><div class="log">{log}</div></main>"""


def _paste(canvas: Image.Image, page: Page, place: tuple[int, int], *, bezel: int) -> None:
    picture = Image.open(BytesIO(page.screenshot()))
    x, y = place
    if bezel:
        box = (x - bezel, y - bezel, x + picture.width + bezel, y + picture.height + bezel)
        ImageDraw.Draw(canvas).rounded_rectangle(box, radius=18, fill=BEZEL)
    canvas.paste(picture, place)


def main() -> None:
    """Film it."""
    expect.set_options(timeout=30_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    (PROJECT / ".data").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=PROJECT / ".data") as data,
        running_system(Path(data), {"LOG_FORMAT": "console"}) as system,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_browser(), args=arguments())
        film = Film(browser, system)
        film.shoot()
        film.keep(PICTURE)
        browser.close()
    size = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(PROJECT)}: {size / 1000:,.0f} kB")
    if size > MOST_BYTES:
        sys.exit(f"that is more than {MOST_BYTES / 1000:,.0f} kB: make it shorter or smaller")


if __name__ == "__main__":
    main()
