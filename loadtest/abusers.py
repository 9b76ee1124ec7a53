"""Those who try what they should not: the right refusal is a success, anything else a failure."""

import random
from dataclasses import dataclass
from typing import Any

import websocket
from locust import between, task

from loadtest.ledgers import current
from loadtest.viewers import websocket_url
from loadtest.voters import FORGED_VOTE, FORM, JSON, PEOPLE, WEIGHTS, VotingUser, note_answer, report, set_cookies
from proof.browser import Browser, cookies_of, voter_of

FOREIGN = {"Origin": "http://elsewhere.example"}


@dataclass(frozen=True)
class Abuse:
    """A request that must be refused with this status."""

    name: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int


ABUSES = (
    Abuse("malformed", "/api/votes", JSON, b'{"vote": "a"', 400),
    Abuse("malformed", "/api/votes", JSON, b'{"vote": "a", "vote": "b"}', 400),
    Abuse("malformed", "/api/votes", JSON, b"\xff", 400),
    Abuse("malformed", "/", FORM, b"vote=%ff", 400),
    Abuse("unknown option", "/api/votes", JSON, b'{"vote": "?"}', 400),
    Abuse("unknown option", "/", FORM, b"vote=", 400),
    Abuse("oversized", "/api/votes", JSON, b'{"vote": "a", "x": "' + b"x" * 5000 + b'"}', 413),
    Abuse("oversized", "/", FORM, b"vote=a&x=" + b"x" * 5000, 413),
    Abuse("wrong type", "/api/votes", FORM, b"vote=a", 415),
    Abuse("foreign origin", "/api/votes", JSON | FOREIGN, b'{"vote": "a"}', 403),
    Abuse("foreign origin", "/", FORM | FOREIGN, b"vote=a", 403),
)


class Abuser(VotingUser):
    """Sends one kind of abuse after another. None of it may be counted; the audit checks that."""

    weight = WEIGHTS["Abuser"]
    wait_time = between(*PEOPLE["think_seconds"])

    @task(len(ABUSES))
    def send_what_must_be_refused(self) -> None:
        """A request that is not exactly one vote from our own page."""
        abuse = random.choice(ABUSES)
        name = f"abuse: {abuse.name}"
        body: Any = abuse.body  # Locust takes bytes as well as text
        with self.client.post(abuse.path, data=body, headers=abuse.headers, name=name, catch_response=True) as response:
            if response.status_code == abuse.status:
                response.success()
            elif response.status_code in (202, 303):
                response.failure("accepted, though it should be refused")
            else:
                response.failure(f"{response.status_code} instead of {abuse.status}")

    @task(3)
    def forge_a_cookie(self) -> None:
        """A made-up cookie makes a new voter, never somebody else."""
        victim = f"{random.getrandbits(128):032x}"
        headers = JSON | {"Cookie": f"voter_id={victim}.c2lnbmF0dXJl"}
        line = current.ledger.send(None, "a")
        with self.client.post(
            "/api/votes", data='{"vote": "a"}', headers=headers, name=FORGED_VOTE, catch_response=True
        ) as response:
            named = voter_of(cookies_of(set_cookies(response)))
            cast_at = response.json().get("cast_at") if response.status_code == 202 else None
            wrong = "" if named != victim else "the forged cookie was believed"
            note_answer(response, line, Browser(), cast_at=cast_at, wrong=wrong)

    @task(1)
    def watch_from_elsewhere(self) -> None:
        """Another website's page may not open the WebSocket."""
        address = websocket_url(self.environment.parsed_options.result_url)
        failure: Exception | None = ConnectionError("the WebSocket opened for a foreign page")
        try:
            websocket.create_connection(address, timeout=10, origin=FOREIGN["Origin"]).close()
        except websocket.WebSocketBadStatusException as refusal:
            failure = None if refusal.status_code == 403 else ConnectionError(f"{refusal.status_code} instead of 403")
        except (OSError, websocket.WebSocketException) as error:
            failure = ConnectionError(type(error).__name__)
        report(self, "abuse: foreign origin", 0.0, failure)
