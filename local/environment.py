"""The settings of a run: the environment, and `.env` in the project folder for what the environment does not set."""

import logging
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import load_dotenv

from local.errors import LocalError

if TYPE_CHECKING:
    from common.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
FILE = PROJECT / ".env"


def load_settings(services: Collection[str] = (), more: "Callable[[Settings], list[str]]" = lambda _: []) -> "Settings":
    """The settings, with an absolute `data_dir`. What `.env` adds is in our environment afterwards.

    Raises LocalError with every problem: of `.env`, of the settings, of what the services need of this machine, and
    what `more` finds wrong with the settings, as far as they could be understood.
    """
    # Imported here, because a probe that only needs the data folder should not wait for pydantic.
    from common.settings import Settings, SettingsError

    data = data_folder()
    settings, problems = Settings.understood(services)
    settings = settings.model_copy(update={"data_dir": data})
    problems = [*_unreadable_lines(), *problems, *more(settings)]
    if problems:
        raise LocalError(str(SettingsError(problems)))
    return settings


def data_folder() -> Path:
    """`data_dir` of the settings, without reading the others."""
    # It would warn of lines that it can't read; `load_settings` does that, and says what to do.
    logging.getLogger("dotenv.main").setLevel(logging.ERROR)
    try:
        load_dotenv(FILE)
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f".env can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}") from None
    return (PROJECT / Path(os.environ.get("DATA_DIR") or ".data").expanduser()).resolve()


def environment() -> dict[str, str]:
    """Our environment."""
    return dict(os.environ)


def is_set(*names: str) -> bool:
    """Whether one of these variables, or its NAME_FILE, has a value."""
    return any(os.environ.get(variable, "").strip() for name in names for variable in (name, f"{name}_FILE"))


def server_environ() -> dict[str, str]:
    """Our environment without the PG... variables, which would steer the server as well."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _unreadable_lines() -> list[str]:
    """The lines of `.env` that set nothing; without what is in them, which may be a secret."""
    from dotenv.parser import parse_stream

    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8") as file:
        return [
            f".env, line {binding.original.line}: can't be read; write NAME=value, with quotes around # and spaces"
            for binding in parse_stream(file)
            if binding.error or (binding.key is not None and binding.value is None)
        ]
