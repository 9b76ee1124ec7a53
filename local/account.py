"""Whom PostgreSQL runs as: it refuses to be root, so root starts it as another user, who must then reach its files."""

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import LocalError


@dataclass(frozen=True)
class Account:
    """A user to step down to."""

    name: str
    uid: int
    gid: int


def server_account(data: Path) -> Account | None:
    """None means ourselves. Data that exists keeps its owner, so that root and an ordinary user can take turns."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(f"number {owner.st_uid}", owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise LocalError(
        "PostgreSQL refuses to run as root, and there is no user `nobody` here: run make up as another user"
    )


def start_as(account: Account | None) -> dict[str, Any]:
    """Arguments for subprocess that start a program as this user."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def hand_over(path: Path, account: Account | None) -> None:
    """Make the folder this user's own and nobody else's."""
    path.chmod(0o700)
    if account is not None:
        os.chown(path, account.uid, account.gid)


def open_way(account: Account | None, targets: Iterable[Path]) -> list[Path]:
    """Let the user pass (not read) every folder above the targets; returns the folders that had to be opened."""
    if account is None:
        return []
    folders = {folder for target in targets for folder in target.parents}
    closed = sorted(folder for folder in folders if not _may_pass(account, folder.stat()))
    for folder in closed:
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)
    return closed


def _may_pass(account: Account, folder: os.stat_result) -> bool:
    if folder.st_uid == account.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)
