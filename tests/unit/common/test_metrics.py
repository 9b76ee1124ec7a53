"""Shared metrics: a bulk histogram equals one observation after the other, and a server that comes back is counted."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry, Histogram

from common.metrics import MOST_NOTED, BulkHistogram, Reachability

BUCKETS = (0.1, 1, 10)


@given(st.lists(st.lists(st.sampled_from([0, 0.05, 0.1, 0.5, 1, 9, 10, 11, 1000]))))
def test_all_at_once_is_the_same_as_one_by_one(batches: list[list[float]]) -> None:
    bulk = BulkHistogram("seconds", "", buckets=BUCKETS, registry=CollectorRegistry())
    single = Histogram("seconds", "", buckets=BUCKETS, registry=CollectorRegistry())

    for batch in batches:
        bulk.observe_all(batch)
        for value in batch:
            single.observe(value)

    assert series(bulk) == series(single)


def series(histogram: Histogram) -> dict[tuple[str, str], float]:
    samples = [sample for family in histogram.collect() for sample in family.samples]
    return {
        (sample.name, sample.labels.get("le", "")): round(sample.value, 6)
        for sample in samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.sampled_from([0, 0.05, 0.1, 0.5, 1, 9, 10, 11, 1000])), st.integers(1, 5))
def test_what_was_noted_is_there_when_somebody_looks(values: list[float], look_after: int) -> None:
    noted = BulkHistogram("seconds", "", buckets=BUCKETS, registry=CollectorRegistry())
    single = Histogram("seconds", "", buckets=BUCKETS, registry=CollectorRegistry())

    for number, value in enumerate(values):
        noted.note(value)
        single.observe(value)
        if number % look_after == 0:
            assert series(noted) == series(single)

    assert series(noted) == series(single)


def test_not_more_than_so_many_are_kept() -> None:
    observed: list[int] = []

    class Watched(BulkHistogram):
        def observe_all(self, values: Iterable[float]) -> None:
            observed.append(len(list(values)))

    noted = Watched("seconds", "", buckets=BUCKETS, registry=CollectorRegistry())
    for _ in range(3 * MOST_NOTED + 1):
        noted.note(1)

    assert observed == [MOST_NOTED] * 3


def reconnects(server: str) -> float:
    return REGISTRY.get_sample_value("reconnects_total", {"server": server}) or 0.0


def test_a_server_that_comes_back_is_one_reconnect() -> None:
    server = Reachability("one of a test")
    server.answers()
    for _ in range(3):
        server.is_lost()
    server.answers()
    server.answers()

    assert reconnects("one of a test") == 1


def test_a_server_that_a_service_had_to_wait_for_at_its_start_is_no_reconnect() -> None:
    server = Reachability("another of a test")
    server.is_lost()
    server.answers()

    assert reconnects("another of a test") == 0
