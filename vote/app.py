"""The vote service as an application: its routes are in `page` and `api`."""

from collections.abc import Callable

from quart import Quart, Response, g, request

from common.ops import Health
from common.settings import Settings
from common.web import TEMPLATES, Refused, believe_proxies, create_website, is_foreign
from vote.api import add_api
from vote.casting import PollingStation, Pusher
from vote.door import Door
from vote.express import add_express_lane
from vote.page import BallotPages, add_page
from vote.traces import trace_votes
from vote.voter import VoterCookies

DESCRIPTION = "Takes votes. The last vote of a voter counts; a voter is whoever sends back the cookie `voter_id`."


def create_app(
    settings: Settings,
    pusher: Pusher,
    health: Health,
    is_delayed: Callable[[], bool] = lambda: False,
    *,
    door: Door | None = None,
) -> Quart:
    """The application, from its settings, an open way to the queue, and whether counting is known to be delayed.

    `door` lets votes in; without one, it is made from the settings.
    """
    door = door or Door(settings)
    app = create_website("vote", description=DESCRIPTION, health=health)
    station = PollingStation(settings.ballot, VoterCookies(settings.secret_key), pusher)

    trace_votes(app)

    app.before_request(_refuse_foreign_pages)

    @app.after_request
    async def remember_voter(response: Response) -> Response:
        # also when the vote was refused or is in doubt: voting again must be the same voter's vote
        if voter := g.get("voter"):
            station.cookies.set(response, voter, secure=request.is_secure)
            response.headers["Cache-Control"] = "no-store"
        return response

    pages = BallotPages(station, door, settings, app.extensions[TEMPLATES], is_delayed)
    add_page(app, station, door, pages)
    add_api(app, station, door)
    add_express_lane(app, station, door, pages)
    believe_proxies(app, settings)
    return app


async def _refuse_foreign_pages() -> None:
    if request.method not in ("GET", "HEAD", "OPTIONS") and is_foreign(request.headers, request.host):
        raise Refused(
            403, "foreign_origin", "Votes are taken from our own page only.", "Open the ballot and vote there."
        )
