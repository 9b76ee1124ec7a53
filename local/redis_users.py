"""Redis users with least rights: `python -m local.redis_users FOLDER HOST:PORT`.

Writes `users.acl` for the server (`redis-server --aclfile`), which has no password in it, only hashes, and for each
user a file with its address, to be named in `REDIS_URL_FILE`. It needs Redis 7 or newer: older ones know no rights that
differ from key to key, and whoever may let one key expire could empty the queue.
"""

import hashlib
import secrets
import sys
from pathlib import Path

from local.environment import PROJECT

TEMPLATE = PROJECT / "db" / "users.acl"
USERS = ("owner", "vote", "worker", "result")


def write_users(folder: Path, place: str) -> dict[str, str]:
    """Write all files; returns the address for each user."""
    acl = TEMPLATE.read_text(encoding="utf-8")
    addresses = {}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for user in USERS:
        password = secrets.token_urlsafe(24)
        acl = acl.replace(f"#{user.upper()} ", f"#{hashlib.sha256(password.encode()).hexdigest()} ")
        addresses[user] = f"redis://{user}:{password}@{place}"
        _write(folder / f"redis_url_{user}", addresses[user])
    _write(folder / "users.acl", acl)
    return addresses


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m local.redis_users FOLDER HOST:PORT")
    write_users(Path(sys.argv[1]), sys.argv[2])
    print(f"{sys.argv[1]}: users.acl for redis-server --aclfile, and redis_url_* for each REDIS_URL_FILE")
