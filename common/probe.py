"""Asks a service of this machine for its health, for a container that has no curl: `python -m common.probe 5000`.

Readiness, because a container that is not healthy is not started again: it is waited for, and shown.
"""

import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

ANSWER_SECONDS = 2.5


def problem(port: int, path: str = "/readyz") -> str:
    """What is wrong with the service on this port, nothing if it is well."""
    try:
        try:
            status, body = _ask(HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS), path)
        except (HTTPException, ConnectionResetError):
            # it speaks TLS; its certificate is for the name that people use, which is not ours
            context = ssl._create_unverified_context()
            status, body = _ask(HTTPSConnection("127.0.0.1", port, timeout=ANSWER_SECONDS, context=context), path)
    except (OSError, HTTPException) as error:
        return f"no answer on port {port}: {error}"
    return "" if status == 200 else f"{status}: {body}"


def _ask(connection: HTTPConnection, path: str) -> tuple[int, str]:
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode(errors="replace").strip()
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(problem(int(sys.argv[1]), *sys.argv[2:]) or 0)
