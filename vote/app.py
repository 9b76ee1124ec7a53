"""The vote service as an application: the path of a vote is in `routes`."""

from collections.abc import Callable

from quart import Quart

from common.broken_edits import show_broken_edits
from common.ops import Health
from common.settings import Settings
from common.web import TEMPLATES, believe_proxies, create_website
from vote.api import add_api
from vote.casting import PollingStation, Pusher
from vote.door import Door
from vote.page import BallotPages
from vote.poll import Poll
from vote.routes import VoteRoutes
from vote.voter import VoterCookies

DESCRIPTION = "Takes votes. The last vote of a voter counts; a voter is whoever sends back the cookies."


def create_app(
    settings: Settings,
    pusher: Pusher,
    health: Health,
    is_delayed: Callable[[], bool] = lambda: False,
    *,
    door: Door | None = None,
    poll: Poll | None = None,
) -> Quart:
    """The application, from its settings, an open way to the queue, and whether counting is known to be delayed.

    `door` lets votes in; where codes are asked for, it has to be given, because it needs the roll.
    """
    app = create_website("vote", description=DESCRIPTION, health=health)
    show_broken_edits(app, settings)
    ballot = settings.ballot
    station = PollingStation(ballot, door or Door(settings), pusher)
    cookies = VoterCookies(settings.secret_key, (poll or Poll(ballot)).name)
    pages = BallotPages(app.extensions[TEMPLATES], ballot, settings, is_delayed)
    add_api(app, ballot)
    app.asgi_app = VoteRoutes(app.asgi_app, station, cookies, pages)  # type: ignore[method-assign]
    believe_proxies(app, settings)
    return app
