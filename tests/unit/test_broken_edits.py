"""Both websites say at their foot which edit does not run, in development only."""

from pathlib import Path

import pytest
from quart.typing import TestClientProtocol as Client

from common.health import Health
from common.settings import Settings
from local import running
from result.app import create_app as create_result
from result.board import Board
from result.viewers import Viewers
from tests.unit.test_websites import NoPusher
from tests.waiting import eventually_async
from vote.app import create_app as create_vote

PROBLEM = "vote/page.py:12: SyntaxError: invalid <syntax>"
SHOWN = "An edit is broken: vote/page.py:12: SyntaxError: invalid &lt;syntax&gt;; the version before it serves."
PAGES = [("vote", "/"), ("result", "/"), ("result", "/pipeline"), ("result", "/nothing")]


def client_of(service: str, settings: Settings) -> Client:
    if service == "vote":
        return create_vote(settings, NoPusher(), Health()).test_client()
    return create_result(settings, Board(settings.ballot, Viewers()), Health()).test_client()


async def is_shown(client: Client, path: str) -> bool:
    response = await client.get(path, headers={"Accept": "text/html"})
    text = await response.get_data(as_text=True)
    assert "</footer>" in text
    return SHOWN in text


@pytest.mark.parametrize(("service", "path"), PAGES)
async def test_a_broken_edit_is_at_the_foot_of_each_page_until_it_is_mended(
    tmp_path: Path, service: str, path: str
) -> None:
    """Also of a page that is kept in memory."""
    client = client_of(service, Settings(data_dir=tmp_path))
    running.make_folder(tmp_path)
    assert not await is_shown(client, path)

    async def has_changed() -> bool:
        return await is_shown(client, path) is bool(running.broken(tmp_path, "vote"))

    for problem in (PROBLEM, ""):
        running.tell_broken(tmp_path, "vote", problem)
        await eventually_async(has_changed, within=10)


@pytest.mark.parametrize(("service", "path"), PAGES)
async def test_in_production_no_page_tells_of_code(tmp_path: Path, service: str, path: str) -> None:
    settings = Settings(data_dir=tmp_path, tallyho_env="production", secret_key="not the one of development")
    running.make_folder(tmp_path)
    running.tell_broken(tmp_path, "vote", PROBLEM)
    assert not await is_shown(client_of(service, settings), path)
