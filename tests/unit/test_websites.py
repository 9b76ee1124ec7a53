"""What both websites keep: one shape of errors, security headers, documentation, health."""

from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from common.health import Health
from common.settings import Settings
from result.app import create_app as create_result
from result.board import Board
from result.viewers import Viewers
from vote.app import create_app as create_vote

pytestmark = pytest.mark.platform


class NoPusher:
    async def push(self, message: bytes, **_: object) -> None:
        raise RuntimeError("a defect in our own code")


def make(name: str, health: Health) -> Quart:
    settings = Settings()
    if name == "vote":
        return create_vote(settings, NoPusher(), health)
    return create_result(settings, Board(settings.ballot, Viewers()), health)


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture(params=["vote", "result"])
def app(request: pytest.FixtureRequest, health: Health) -> Quart:
    return make(request.param, health)


@pytest.fixture
def client(app: Quart) -> Client:
    return app.test_client()


async def error_of(response: Any) -> dict[str, str]:
    body = await response.get_json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    error: dict[str, str] = body["error"]
    return error


async def test_an_unknown_address_of_the_api_is_an_error_in_json(client: Client) -> None:
    response = await client.get("/api/nothing")

    assert response.status_code == 404
    assert (await error_of(response))["code"] == "not_found"


async def test_a_method_that_does_not_fit_is_an_error_in_json(client: Client, app: Quart) -> None:
    response = await client.delete("/api/ballot" if app.name == "vote" else "/api/tally")

    assert response.status_code == 405
    assert (await error_of(response))["code"] == "method_not_allowed"
    assert "GET" in response.headers["Allow"]


async def test_an_unknown_page_is_a_readable_page(client: Client) -> None:
    response = await client.get("/nothing", headers={"Accept": "text/html"})

    assert response.status_code == 404
    assert "<h1" in await response.get_data(as_text=True)


async def test_a_program_that_asks_for_json_gets_errors_in_json(client: Client) -> None:
    response = await client.get("/nothing", headers={"Accept": "application/json"})

    assert (await error_of(response))["code"] == "not_found"


async def test_a_defect_of_ours_tells_nothing_about_our_inside(health: Health) -> None:
    response = await make("vote", health).test_client().post("/api/votes", json={"vote": "a"})

    assert response.status_code == 500
    error = await error_of(response)
    assert error["code"] == "internal_error"
    assert "defect" not in error["message"]


@pytest.mark.parametrize("path", ["/", "/docs", "/nothing", "/api/nothing", "/openapi.json", "/shared/tallyho.css"])
async def test_every_answer_has_the_security_headers(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers

    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    # "no-referrer" would make browsers send "Origin: null" with our own form
    assert headers["Referrer-Policy"] == "same-origin"


async def test_the_api_is_described(client: Client, app: Quart) -> None:
    paths = (await (await client.get("/openapi.json")).get_json())["paths"]

    wanted = {"vote": {"/api/votes", "/api/ballot"}, "result": {"/api/tally", "/api/tally.csv", "/api/pipeline"}}
    assert set(paths) == wanted[app.name]


async def test_the_documentation_loads_nothing_from_elsewhere(client: Client) -> None:
    page = await (await client.get("/docs")).get_data(as_text=True)

    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert asset in page
        assert (await client.get(f"/docs/assets/{asset}")).status_code == 200


async def test_alive_does_not_depend_on_anything(client: Client, health: Health) -> None:
    health.checks = {"redis": fails}

    assert (await client.get("/healthz")).status_code == 200


async def test_ready_names_what_works_and_what_fails(client: Client, health: Health) -> None:
    health.checks = {"redis": fails, "disk": works}

    response = await client.get("/readyz")

    assert response.status_code == 503
    assert await response.get_json() == {"ok": ["disk"], "failing": {"redis": "gone"}}


async def test_a_service_that_stops_is_not_ready(client: Client, health: Health) -> None:
    health.checks = {"disk": works}
    assert (await client.get("/readyz")).status_code == 200

    health.stopping = True

    assert (await client.get("/readyz")).status_code == 503


async def test_requests_are_counted_by_template_never_by_address(client: Client) -> None:
    await client.get("/nothing-of-this-test")
    await client.get("/shared/nothing-of-this-test")

    metrics = await (await client.get("/metrics")).get_data(as_text=True)

    assert "nothing-of-this-test" not in metrics
    assert 'http_requests_total{method="GET",route="/shared/<path:filename>",status="404"}' in metrics


async def works() -> None:
    pass


async def fails() -> None:
    raise ConnectionError("gone")


async def test_a_program_is_told_that_a_vote_needs_a_body(client: Client) -> None:
    described = await (await client.get("/openapi.json")).get_json()

    bodies = [route["post"]["requestBody"] for route in described["paths"].values() if "post" in route]
    assert all(body["required"] is True for body in bodies)
    assert ("/api/votes" in described["paths"]) == bool(bodies)
