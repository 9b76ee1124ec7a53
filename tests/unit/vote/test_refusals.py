"""What is not one vote from our own page is refused, with its reason."""

import pytest
from quart import Quart

from tests.fakes import FakeVoteQueue

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


REFUSED: list[tuple[str, dict[str, str], bytes, int, str]] = [
    ("/api/votes", JSON, b'{"vote": "z"}', 400, "unknown_option"),
    ("/api/votes", JSON, b'{"vote": "A"}', 400, "unknown_option"),
    ("/api/votes", JSON, b'{"vote": 1}', 400, "unknown_option"),
    ("/api/votes", JSON, b'{"vote": null}', 400, "unknown_option"),
    ("/api/votes", JSON, b"{}", 400, "missing_field"),
    ("/api/votes", JSON, b'{"vote": "a", "vote": "b"}', 400, "duplicate_field"),
    ("/api/votes", JSON, b"", 400, "malformed_json"),
    ("/api/votes", JSON, b"[]", 400, "malformed_json"),
    ("/api/votes", JSON, b'{"vote": "a"', 400, "malformed_json"),
    ("/api/votes", JSON, b"\xff", 400, "malformed_json"),
    ("/api/votes", JSON, b"[" * 4000, 400, "malformed_json"),
    ("/api/votes", JSON, b'{"vote": "a", "x": "' + b"x" * 5000 + b'"}', 413, "too_large"),
    ("/api/votes", FORM, b"vote=a", 415, "unsupported_type"),
    ("/api/votes", {}, b'{"vote": "a"}', 415, "unsupported_type"),
    ("/api/votes", JSON | {"Origin": "http://elsewhere.example"}, b'{"vote": "a"}', 403, "foreign_origin"),
    ("/api/votes", JSON | {"Origin": "null"}, b'{"vote": "a"}', 403, "foreign_origin"),
    ("/api/votes", JSON | {"Origin": "http://localhost:5001"}, b'{"vote": "a"}', 403, "foreign_origin"),
    ("/api/votes", JSON | {"Sec-Fetch-Site": "cross-site"}, b'{"vote": "a"}', 403, "foreign_origin"),
    ("/", FORM, b"vote=z", 400, "unknown option"),
    ("/", FORM, b"vote=", 400, "unknown option"),
    ("/", FORM, b"", 400, "missing field"),
    ("/", FORM, b"vote=a&vote=a", 400, "duplicate field"),
    ("/", FORM, b"vote=%ff", 400, "malformed form"),
    ("/", FORM, b"vote=a&x=" + b"x" * 5000, 413, "too large"),
    ("/", JSON, b'{"vote": "a"}', 415, "unsupported type"),
    ("/", FORM | {"Origin": "http://elsewhere.example"}, b"vote=a", 403, "foreign origin"),
]


@pytest.mark.parametrize(("path", "headers", "body", "status", "code"), REFUSED)
async def test_what_is_not_one_vote_from_our_page_is_refused_with_its_reason(
    app: Quart, queue: FakeVoteQueue, path: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    response = await app.test_client().post(path, data=body, headers={"Host": "localhost:5000"} | headers)

    assert response.status_code == status
    assert queue.messages == []
    if path == "/api/votes":
        error = (await response.get_json())["error"]
        assert error["code"] == code
        assert error["message"]
    else:
        page = await response.get_data(as_text=True)
        assert "<!doctype html>" in page.lower()
