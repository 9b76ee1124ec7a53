"""The vote service as an application: its routes are in `page` and `api`."""

from quart import Quart, Response, g, request

from common.ops import Health
from common.settings import Settings
from common.web import Refused, create_website, is_foreign
from vote.api import add_api
from vote.casting import PollingStation, Pusher
from vote.page import add_page
from vote.voter import VoterCookies

DESCRIPTION = "Takes votes. The last vote of a voter counts; a voter is whoever sends back the cookie `voter_id`."


def create_app(settings: Settings, pusher: Pusher, health: Health) -> Quart:
    """The application, from its settings and an open way to the queue."""
    app = create_website("vote", description=DESCRIPTION, health=health)
    station = PollingStation(settings.ballot, VoterCookies(settings.secret_key), pusher)

    @app.before_request
    async def refuse_foreign_pages() -> None:
        if request.method not in ("GET", "HEAD", "OPTIONS") and is_foreign(request.headers, request.host):
            raise Refused(
                403, "foreign_origin", "Votes are taken from our own page only.", "Open the ballot and vote there."
            )

    @app.after_request
    async def remember_voter(response: Response) -> Response:
        # also when the vote was refused or is in doubt: voting again must be the same voter's vote
        if voter := g.get("voter"):
            station.cookies.set(response, voter, secure=request.is_secure)
            response.headers["Cache-Control"] = "no-store"
        return response

    add_page(app, station, settings)
    add_api(app, station)
    return app
