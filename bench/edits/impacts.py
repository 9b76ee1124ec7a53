"""What people noticed of each thing that was done to the system meanwhile: rows of a table. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from loadtest.drill import longest_gap
from loadtest.request_log import LATE, SCREEN, Entry

Act = tuple[str, float]  # the row that it belongs to, and when it began, in Unix seconds


@dataclass
class Row:
    """One kind of act: from its beginning to the beginning of the next act."""

    title: str
    times: int = 0
    requests: int = 0
    failures: dict[str, int] = field(default_factory=dict)  # by what failed, and how
    longest_wait: float = 0.0
    longest_without_news: float = 0.0  # no screen at all got a vote that was newly recorded
    oldest_view: float = 0.0  # how old the newest vote on any single screen became
    load_late: float = 0.0  # by how much the load test itself was late: it makes others look slow

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def cells(self) -> list[str]:
        """As they are in the table."""
        seconds = (self.longest_wait, self.longest_without_news, self.oldest_view, self.load_late)
        failed = f"{self.failed:,} of {self.requests:,}"
        return [self.title, str(self.times), failed, *(f"{each:.2f} s" for each in seconds)]


def rows(acts: Sequence[Act], end: float, entries: Iterable[Entry], news: Sequence[float]) -> list[Row]:
    """A row for each kind of act, in their order; a request belongs to every act during which it was under way."""
    found = {title: Row(title) for title, _ in acts}
    begins = [began for _, began in acts]
    for entry in entries:
        last = bisect_right(begins, entry.ended)
        first = bisect_right(begins, entry.ended if entry.name == SCREEN else entry.began)
        if entry.began < end:
            for title in {title for title, _ in acts[max(0, first - 1) : last]}:
                _add(found[title], entry)
    for (title, began), until in zip(acts, [*begins[1:], end], strict=True):
        row = found[title]
        row.times += 1
        row.longest_without_news = max(row.longest_without_news, longest_gap(news, began, until))
    return list(found.values())


def _add(row: Row, entry: Entry) -> None:
    if entry.name == SCREEN:
        row.oldest_view = max(row.oldest_view, entry.seconds)
        return
    if entry.name == LATE:
        row.load_late = max(row.load_late, entry.seconds)
        return
    if entry.failure:
        what = f"{entry.name}: {entry.failure}"
        row.failures[what] = row.failures.get(what, 0) + 1
    if entry.is_request:
        row.requests += 1
        row.longest_wait = max(row.longest_wait, entry.seconds)


def table(found: Sequence[Row], *, users: int) -> str:
    """In Markdown."""
    heads = ["times", "failed requests", "longest wait", "longest without a new vote", "oldest view", "load late"]
    lines = [[f"while {users:,} people vote", *heads], ["---", *("---:" for _ in heads)]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [*lines, *(row.cells() for row in found)])
