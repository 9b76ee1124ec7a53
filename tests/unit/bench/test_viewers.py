"""The benchmark's viewers read what servers send, however it is cut; the screens' delays are those of each vote."""

import pytest
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import Ping, TextMessage

from bench.settings import BenchError
from bench.speed.viewers import Viewer
from bench.speed.whole import Screens

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n\r\n"


@pytest.mark.parametrize("step", [1, 3, 100, 10_000])
def test_every_text_is_read_however_it_is_cut(step: int) -> None:
    server = Connection(ConnectionType.SERVER)
    texts = ["short", "x" * 125, "y" * 126, "z" * 3000]
    sent = HEAD + b"".join(server.send(TextMessage(text)) + server.send(Ping()) for text in texts)
    seen: list[bytes] = []
    viewer = Viewer("localhost", lambda _, text: seen.append(text))

    for start in range(0, len(sent), step):
        viewer.data_received(sent[start:][:step])

    assert [text.decode() for text in seen] == texts
    assert viewer.messages == 4


def test_a_viewer_who_is_refused_is_not_open() -> None:
    viewer = Viewer("localhost", lambda *_: None)
    viewer.data_received(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    assert not viewer.is_open


def test_a_votes_delay_ends_with_the_first_total_that_has_it() -> None:
    screens = Screens()
    quick, slow = Viewer("", lambda *_: None), Viewer("", lambda *_: None)
    screens.shown = {quick: [(0.0, 10), (1.1, 11), (2.1, 13)], slow: [(0.0, 10), (5.0, 13)]}

    delays = screens.delays([1.0, 2.0, 2.0], before=10)

    assert delays == pytest.approx([0.1, 0.1, 0.1, 4.0, 3.0, 3.0])


def test_a_vote_that_is_never_shown_is_an_error() -> None:
    screens = Screens()
    screens.shown = {Viewer("", lambda *_: None): [(0.0, 10)]}
    with pytest.raises(BenchError, match="vote 11"):
        screens.delays([1.0], before=10)
