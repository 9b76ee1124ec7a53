"""Waits until the system can take a load, and says what is missing."""

import sys
import time

import httpx

from loadtest.errors import LoadTestError
from loadtest.settings import Target

READY_SECONDS = 30.0
NOBODY_SECONDS = 3.0  # a system that is about to start answers by then
TELL_SECONDS = 3.0


def wait_until_ready(target: Target) -> None:
    """Return once vote and result are ready; raises LoadTestError."""
    began = time.monotonic()
    told = False
    with httpx.Client(timeout=3, verify=False) as client:
        while problems := _problems(client, target):
            waited = time.monotonic() - began
            nobody = all(problem.startswith("nothing answers") for problem in problems)
            if waited > READY_SECONDS or (nobody and waited > NOBODY_SECONDS):
                raise LoadTestError(f"{'; '.join(problems)}: make up starts the system")
            if waited > TELL_SECONDS and not told:
                told = True
                print(f"waiting: {'; '.join(problems)}", file=sys.stderr, flush=True)
            time.sleep(0.1)


def _problems(client: httpx.Client, target: Target) -> list[str]:
    urls = {"vote": target.vote_url, "result": target.result_url}
    return [problem for name, url in urls.items() if (problem := _problem(client, name, url))]


def _problem(client: httpx.Client, name: str, url: str) -> str:
    try:
        answer = client.get(f"{url}/readyz")
    except (httpx.HTTPError, httpx.InvalidURL):
        return f"nothing answers at {url} ({name})"
    if answer.status_code == httpx.codes.OK:
        return ""
    return f"{name} at {url} is not ready ({answer.status_code})"
