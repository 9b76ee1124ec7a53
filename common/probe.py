"""A container's health check, without curl: `python -m common.probe 5000` asks a service on this machine.

It checks readiness, because Docker does not restart an unhealthy container: it waits for it, and shows it.
"""

import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

ANSWER_SECONDS = 2.5


def problem(port: int, path: str = "/readyz") -> str:
    """What is wrong with the service on this port, "" if nothing is."""
    try:
        try:
            status, body = _ask(HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS), path)
        except (HTTPException, ConnectionResetError):
            # it speaks TLS, and its certificate is for its public name, not for 127.0.0.1
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
