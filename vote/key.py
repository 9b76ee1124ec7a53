"""The secret key: the one that everybody can read in the code is for development."""

import structlog

from common.lifecycle import CannotStart
from common.settings import DEVELOPMENT_KEY, Settings

log = structlog.get_logger()


def check_key(settings: Settings) -> None:
    """Warn of the development key; in production, raise CannotStart."""
    if settings.secret_key != DEVELOPMENT_KEY:
        return
    if settings.tallyho_env == "production":
        raise CannotStart(
            "SECRET_KEY is the development key, which everybody knows: whoever has it can vote as anybody. "
            "Set SECRET_KEY or SECRET_KEY_FILE to a secret of your own, for example of: openssl rand -hex 32"
        )
    log.warning("development_key_in_use", advice="set a SECRET_KEY of your own: whoever knows it can vote as anybody")
