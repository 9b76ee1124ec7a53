"""The pipeline's figures as the page writes them, once for the page without JavaScript and the one with it."""

from collections.abc import Mapping
from typing import Any

UNKNOWN = {"value": "?", "note": "can't be known now"}


def words(figures: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """A value and a note for each panel of the page, by its name."""
    said = {
        "accepted": _flow(figures["accepted"]),
        "waiting": _count(figures["waiting"], "not yet recorded"),
        "recorded": _flow(figures["recorded"]),
        "oldest": _oldest(figures["waiting"], figures["oldest_waiting_seconds"]),
        "rejected": _count(figures["rejected"], "could not be counted"),
        "viewers": _count(figures["viewers"], "open dashboards"),
        "workers": _workers(figures["workers"], figures["redis"]),
    }
    return {name: text or UNKNOWN for name, text in said.items()}


def duration(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes} min {whole % 60} s" if hours == 0 else f"{hours} h {minutes % 60} min"


def _count(number: int | None, note: str) -> dict[str, str] | None:
    return None if number is None else {"value": f"{number:,}", "note": note}


def _flow(flow: Mapping[str, Any] | None) -> dict[str, str] | None:
    if flow is None:
        return None
    rate = flow["per_second"]
    note = "how many a second is not known yet" if rate is None else f"{_rate(rate)} a second"
    return {"value": f"{flow['total']:,}", "note": note}


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate == 0 or rate >= 99.95 else f"{rate:.1f}"


def _oldest(waiting: int | None, seconds: float | None) -> dict[str, str] | None:
    if waiting is None:
        return None
    if not waiting:
        return {"value": "none", "note": "no vote waits"}
    if seconds is None:
        return {"value": "?", "note": "the oldest doesn't say when it was cast"}
    return {"value": duration(seconds), "note": "since it was cast"}


def _workers(workers: Mapping[str, Any] | None, redis: str) -> dict[str, str] | None:
    if workers is None:
        return None
    others = len(workers["standing_by"])
    if workers["counting"] is None or redis == "unreachable":  # a worker keeps its lock while it waits for Redis
        connected = others + (workers["counting"] is not None)
        return {"value": "nobody", "note": f"{connected or 'no'} {'worker' if connected == 1 else 'workers'} connected"}
    return {"value": "1 worker", "note": f"{others or 'none'} {'stand' if others > 1 else 'stands'} by"}
