"""A text is framed once for all viewers, just as the server would frame it for each."""

from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import TextMessage

from common.viewer_stream import _frame


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=70_000))
def test_the_frame_is_that_of_a_connection_of_its_own(text: str) -> None:
    client = Connection(ConnectionType.CLIENT)

    client.receive_data(_frame(text))

    assert [event.data for event in client.events() if isinstance(event, TextMessage)] == [text]


def test_the_same_text_is_framed_once() -> None:
    assert _frame("a snapshot") is _frame("a snapshot")
