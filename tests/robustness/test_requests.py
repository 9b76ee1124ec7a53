"""Requests that no description foresees: their headers, targets, bodies and frames are whatever a socket can carry."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.robustness.conftest import Services
from tests.robustness.figures import EXAMPLES, tried
from tests.robustness.raw import answer, assert_no_fault, request, statuses, websocket_handshake
from tests.waiting import eventually

pytestmark = pytest.mark.platform

SEARCH = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))

ODD_VALUES = st.one_of(
    st.binary(max_size=80).map(lambda value: value.translate(None, b"\r\n\0")),
    st.sampled_from([b"http://[", b"[", b"*/*;q=nan", b"bytes=-", b"bytes=9-1", b"a=b;;;=", b"\xff\xfe", b"h2c"]),
)
NAMES = b"""
    Host Origin Cookie Accept Content-Type Range If-Range If-Modified-Since If-None-Match Sec-Fetch-Site Forwarded
    X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host Accept-Language Authorization Expect Upgrade Connection
    Transfer-Encoding traceparent
""".split()
HEADERS = st.dictionaries(st.sampled_from(NAMES), ODD_VALUES, max_size=4)
PATHS = [b"/", b"/api/votes", b"/api/ballot", b"/api/tally", b"/api/tally.csv", b"/openapi.json", b"/docs", b"/ws"]
PATHS += [b"/shared/", b"/static/", b"/docs/assets/", b"/healthz", b"/readyz", b"/pipeline", b"/api/pipeline"]
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60).map(str.encode)
TARGETS = st.one_of(st.sampled_from(PATHS), st.builds(bytes.__add__, st.sampled_from(PATHS), VISIBLE), VISIBLE)
METHODS = st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "FOO"])
BODIES = st.one_of(st.binary(max_size=200), st.just(b"vote=a"), st.just(b'{"vote": "a"}'), st.just(b"x" * 5000))
REQUESTS = st.builds(request, METHODS, TARGETS, HEADERS, BODIES)
BROKEN_OFF = st.builds(lambda sent, length: sent[:length], REQUESTS, st.integers(1, 300))
NOISE = st.one_of(st.binary(min_size=1, max_size=400), BROKEN_OFF)

FRAMES = st.builds(
    lambda first, second, rest: bytes([first, second]) + rest,
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=150),
)

# Each of these was once answered with 500.
ONCE_FATAL = {
    "an origin that is no address": request("POST", b"/api/votes", {b"Origin": b"http://[::1"}),
    "a target that is no address": request("GET", b"http://[/"),
    "a path of nothing but slashes": request("GET", b"//"),
    "the same in another way": request("POST", b"/%2f"),
    "a path with a slash too much": request("POST", b"//api/votes"),
    "a target without a path": request("GET", b"?vote=a"),
    "a file name longer than a disk takes": request("GET", b"/shared/" + b"a" * 3000),
    "a websocket where there is none": websocket_handshake(b"/nothing"),
    "a websocket from an origin that is no address": websocket_handshake(b"/ws", b"Origin: http://["),
}


@pytest.mark.parametrize("name", ["vote", "result"])
@pytest.mark.parametrize("case", ONCE_FATAL)
def test_what_was_once_a_fault_is_refused(services: Services, name: str, case: str) -> None:
    received = answer(services.url_of(name), ONCE_FATAL[case], look_seconds=10)

    assert_no_fault(received)
    assert [status for status in statuses(received) if 400 <= status < 500]


@pytest.mark.parametrize("host", [b"a..b", b".a", b"a" * 64, b"\xff", b"", b"a b", b"http://[", b"a\r\nHost: b"])
@pytest.mark.parametrize("name", ["vote", "result", "worker"])
def test_a_host_that_can_not_be_read_is_refused_by_every_route(services: Services, name: str, host: bytes) -> None:
    """Quart failed at some of them, with a long traceback, and the quick way of a vote took them."""
    for path in (b"/", b"/healthz", b"/metrics", b"/nothing", b"/docs", b"/api/ballot", b"/api/tally", b"http://a..b/"):
        received = answer(services.url_of(name), request("GET", path, {b"Host": host}))
        assert statuses(received) == [400], received
        assert b" can't be read.\n" in received
    form = {b"Host": host, b"Content-Type": b"application/x-www-form-urlencoded"}
    assert statuses(answer(services.url_of(name), request("POST", b"/", form, b"vote=a"))) == [400]


@pytest.mark.parametrize("type_", [b"application/x-www-form-urlencoded", b"application/x-www-form-urlencoded; x=y"])
@pytest.mark.parametrize("host", [b"my_vote_1:5000", b"localhost", b"[::1]:5000"])
def test_a_vote_from_our_own_page_is_taken_and_one_from_elsewhere_is_not(
    services: Services, host: bytes, type_: bytes
) -> None:
    """Also where the host has an underscore, as containers have: both were the other way round there."""
    ours = {b"Host": host, b"Content-Type": type_, b"Origin": b"http://" + host, b"Sec-Fetch-Site": b"same-origin"}
    theirs = ours | {b"Origin": b"null", b"Sec-Fetch-Site": b"cross-site"}
    url = services.vote.url

    assert statuses(answer(url, request("POST", b"/", ours, b"vote=a"), look_seconds=10)) == [303]
    assert statuses(answer(url, request("POST", b"/", theirs, b"vote=a"), look_seconds=10)) == [403]
    theirs[b"Content-Type"] = b"application/json"
    assert statuses(answer(url, request("POST", b"/api/votes", theirs, b'{"vote": "a"}'), look_seconds=10)) == [403]


@pytest.mark.parametrize("name", ["vote", "result"])
def test_a_link_beside_keeps_a_host_with_an_underscore(services: Services, name: str) -> None:
    page = answer(services.url_of(name), request("GET", b"/", {b"Host": b"my_poll:5000"}), look_seconds=10)

    assert b'href="http://my_poll:' in page


@pytest.mark.parametrize("name", ["vote", "result", "worker"])
@SEARCH
@given(sent=REQUESTS)
def test_no_request_is_a_fault(services: Services, name: str, sent: bytes) -> None:
    tried("requests with odd headers, targets and bodies")
    assert_no_fault(answer(services.url_of(name), sent, look_seconds=0.5))


@pytest.mark.parametrize("name", ["vote", "result"])
@SEARCH
@given(sent=NOISE)
def test_no_noise_is_a_fault(services: Services, name: str, sent: bytes) -> None:
    tried("connections with noise, or with a request that breaks off")
    assert_no_fault(answer(services.url_of(name), sent))


@SEARCH
@given(frames=st.lists(st.one_of(FRAMES, st.binary(max_size=100)), max_size=6))
def test_no_frames_are_a_fault(services: Services, frames: list[bytes]) -> None:
    tried("websockets with odd frames")
    # a closed viewer is held for a ping interval: not waited for
    assert_no_fault(answer(services.result.url, websocket_handshake() + b"".join(frames), look_seconds=0.05))


@pytest.mark.parametrize("early", [b"\x81", b"\x88\x80\1\2\3\4", b"\xff" * 300])
def test_a_viewer_that_speaks_before_it_is_let_in_is_not_held(services: Services, early: bytes) -> None:
    """Hypercorn by itself kept such a viewer, its task and its file as long as the process."""
    for _ in range(5):
        answer(services.result.url, websocket_handshake() + early, look_seconds=0.2)
    tried("viewers that spoke too early", 5)
    eventually(lambda: services.result.metric("viewers") == 0, within=30)


def test_after_all_that_the_services_are_well_and_have_failed_at_nothing(services: Services) -> None:
    assert services.all_alive()
    assert services.complaints() == []
