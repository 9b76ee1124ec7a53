"""Programs that vote by the API."""

import random

from locust import between, task

from loadtest.settings import limits
from loadtest.users.booth import Booth
from proof.browser import Browser

LIMITS = limits()
PEOPLE = LIMITS["people"]


class ApiVoter(Booth):
    """Votes as somebody new, or as the one before who changes its mind."""

    weight = LIMITS["weights"]["ApiVoter"]
    wait_time = between(*PEOPLE["think_seconds"])

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.labels: dict[str, str] = {}
        self.browser = Browser()

    @task
    def vote(self) -> None:
        """Cast one vote, after a look at the ballot if it is the first."""
        if not self.labels and not self._read_ballot():
            return
        if random.random() >= PEOPLE["changes_mind"]:
            self.browser = Browser()
        option = random.choice(list(self.labels))
        self.cast_by_api(self.browser, option, label=self.labels[option])

    def _read_ballot(self) -> bool:
        with self.client.get("/api/ballot", name="GET /api/ballot", catch_response=True) as response:
            if response.status_code == 200:
                self.labels = {option["key"]: option["label"] for option in response.json()["options"]}
                if len(self.labels) < 2:
                    response.failure("no ballot")
        return len(self.labels) > 1
