"""The settings of a run: the environment, and what it leaves open from `.env` in the project folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import load_dotenv

from local.errors import LocalError

if TYPE_CHECKING:
    from common.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent


def load_settings() -> "Settings":
    """The settings, with an absolute `data_dir`. What `.env` adds is in our environment afterwards."""
    # Imported here, because a probe that only needs the data folder must not wait for pydantic.
    from common.settings import Settings, SettingsError

    data = data_folder()
    try:
        return Settings.from_env().model_copy(update={"data_dir": data})
    except SettingsError as error:
        raise LocalError(str(error)) from error


def data_folder() -> Path:
    """`data_dir` of the settings, without reading the others."""
    load_dotenv(PROJECT / ".env")
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
