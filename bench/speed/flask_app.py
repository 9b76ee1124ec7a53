"""A vote service in the ancestor's way: Flask under gunicorn, with a Redis connection for every request."""

import json
import os
import secrets

from flask import Flask, Response, jsonify, make_response, render_template_string, request
from redis import Redis

OPTIONS = {"a": "Cats", "b": "Dogs"}
PAGE = """<!doctype html>
<title>{{ options.values() | join(" or ") }}?</title>
<form method="post">
  {% for key, label in options.items() %}
  <button name="vote" value="{{ key }}"{% if key == vote %} class="chosen"{% endif %}>{{ label }}</button>
  {% endfor %}
</form>
<p>Answered by {{ host }}</p>
"""


def create_app() -> Flask:
    """What gunicorn serves."""
    app = Flask(__name__)
    host = os.uname().nodename

    @app.get("/")
    def page() -> Response:
        return answer(voter(), None)

    @app.post("/")
    def cast_by_form() -> Response:
        who, vote = voter(), request.form["vote"]
        push(who, vote)
        return answer(who, vote)

    @app.post("/api/votes")
    def cast_by_json() -> tuple[Response, int]:
        who, vote = voter(), request.get_json()["vote"]
        push(who, vote)
        response = jsonify(vote=vote, label=OPTIONS[vote])
        response.set_cookie("voter_id", who)
        return response, 202

    def answer(who: str, vote: str | None) -> Response:
        response = make_response(render_template_string(PAGE, options=OPTIONS, vote=vote, host=host))
        response.set_cookie("voter_id", who)
        return response

    return app


def voter() -> str:
    """Who votes: the cookie, whoever wrote it, or somebody new."""
    return request.cookies.get("voter_id") or secrets.token_hex(8)


def push(who: str, vote: str) -> None:
    """Put a vote on the queue."""
    redis = Redis.from_url(os.environ["REDIS_URL"])
    redis.rpush("votes", json.dumps({"voter_id": who, "vote": vote}))
    redis.close()
