"""Asks a service of this machine for its health, for a container that has no curl: `python -m common.probe 5000`.

Readiness, because a container that is not healthy is not started again: it is waited for, and shown.
"""

import sys
from http.client import HTTPConnection, HTTPException

ANSWER_SECONDS = 2.5


def problem(port: int, path: str = "/readyz") -> str:
    """What is wrong with the service on this port, nothing if it is well."""
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(2000).decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        return f"no answer on port {port}: {error}"
    finally:
        connection.close()
    return "" if answer.status == 200 else f"{answer.status}: {body}"


if __name__ == "__main__":
    sys.exit(problem(int(sys.argv[1]), *sys.argv[2:]) or 0)
