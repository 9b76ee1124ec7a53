"""Each security header, on every kind of answer of both websites, and what follows from the scheme."""

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from common.health import Health
from common.settings import Settings
from result.app import create_app as create_result
from result.board import Board
from result.viewers import Viewers
from tests.unit.test_websites import NoPusher
from vote.app import create_app as create_vote

pytestmark = pytest.mark.platform

PATHS = ["/", "/docs", "/nothing", "/api/nothing", "/openapi.json", "/shared/tallyho.css", "/healthz", "/metrics"]
PROXY = {"client": ("10.0.0.1", 4711)}
STRANGER = {"client": ("203.0.113.66", 4711)}


def make(name: str, settings: Settings) -> Quart:
    if name == "vote":
        return create_vote(settings, NoPusher(), Health())
    return create_result(settings, Board(settings.ballot, Viewers()), Health())


@pytest.fixture(params=["vote", "result"])
def client(request: pytest.FixtureRequest) -> Client:
    return make(request.param, Settings()).test_client()


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_loaded_from_elsewhere_and_no_inline_script_runs(client: Client, path: str) -> None:
    policy = (await client.get(path)).headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", PATHS)
async def test_no_site_puts_our_pages_into_a_frame(client: Client, path: str) -> None:
    assert "frame-ancestors 'none'" in (await client.get(path)).headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PATHS)
async def test_our_forms_go_to_us_and_no_base_turns_our_links(client: Client, path: str) -> None:
    policy = (await client.get(path)).headers["Content-Security-Policy"]

    assert "form-action 'self'" in policy
    assert "base-uri 'none'" in policy


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_the_header_is_on_every_answer(client: Client, path: str, header: str, value: str) -> None:
    assert (await client.get(path)).headers[header] == value


@pytest.mark.parametrize("path", PATHS)
async def test_no_answer_names_the_server_program(client: Client, path: str) -> None:
    assert "Server" not in (await client.get(path)).headers


async def test_under_tls_browsers_are_told_to_stay_there_and_without_it_they_are_not(client: Client) -> None:
    assert "Strict-Transport-Security" not in (await client.get("/")).headers

    secure = await client.get("/", scheme="https")

    assert secure.headers["Strict-Transport-Security"].startswith("max-age=")


@pytest.mark.parametrize("name", ["vote", "result"])
async def test_behind_a_trusted_proxy_its_scheme_and_host_make_the_links(name: str) -> None:
    client = make(name, Settings(trusted_proxies="10.0.0.0/8")).test_client()
    headers = {"Host": "inside:80", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "poll.example"}

    page = await client.get("/", headers=headers, scope_base=PROXY)

    port = 5001 if name == "vote" else 5000
    assert f'href="https://poll.example:{port}/"' in await page.get_data(as_text=True)
    assert "Strict-Transport-Security" in page.headers


async def test_behind_a_trusted_proxy_that_speaks_tls_the_cookies_are_secure_and_the_origin_is_ours() -> None:
    client = make("vote", Settings(trusted_proxies="10.0.0.0/8")).test_client()
    headers = {"Host": "inside:80", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "poll.example"}

    page = await client.get("/", headers=headers, scope_base=PROXY)
    refused = await client.post(
        "/", form={"vote": "z"}, headers=headers | {"Origin": "https://poll.example"}, scope_base=PROXY
    )

    assert "Secure" in page.headers["Set-Cookie"]
    assert refused.status_code == 400  # for the option, not for its origin


@pytest.mark.parametrize("name", ["vote", "result"])
@pytest.mark.parametrize("settings", [Settings(), Settings(trusted_proxies="10.0.0.0/8")])
async def test_a_stranger_who_claims_to_be_a_proxy_changes_nothing(name: str, settings: Settings) -> None:
    client = make(name, settings).test_client()
    lies = {"Host": "poll.example", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}

    page = await client.get("/", headers=lies, scope_base=STRANGER)

    assert "evil.example" not in await page.get_data(as_text=True)
    assert "Strict-Transport-Security" not in page.headers
    assert "Secure" not in page.headers.get("Set-Cookie", "")


async def test_a_liar_can_not_change_whom_it_is_counted_for() -> None:
    settings = Settings(trusted_proxies="10.0.0.0/8", limit_per_address=2)
    client = make("vote", settings).test_client(use_cookies=False)

    answers = [
        await client.post(
            "/api/votes", json={"vote": "z"}, headers={"X-Forwarded-For": f"198.51.100.{n}"}, scope_base=STRANGER
        )
        for n in range(4)
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 429, 429]
