"""What looks like a setting and is none: a slip in its name would otherwise show only in what does not happen."""

import difflib
import os
import re

from common.ballot import KEYS
from common.settings import SECRETS, Settings


def unread() -> dict[str, str]:
    """Variables that somebody seems to have meant for us and that nobody reads, each with what to say of it."""
    environ = {name: value.strip() for name, value in os.environ.items() if value.strip()}
    found = {name: advice for name in sorted(environ) if (advice := _advice_on_name(name))}
    for variable in (name.upper() for name in SECRETS):
        if variable in environ and f"{variable}_FILE" in environ:
            found[f"{variable}_FILE"] = f"{variable}_FILE is not read, because {variable} is set as well"
    if "REDIS_HOST" in environ and environ.keys() & {"REDIS_URL", "REDIS_URL_FILE"}:
        found["REDIS_HOST"] = "REDIS_HOST is not read, because REDIS_URL is set as well"
    return found


_OPTIONS = {f"OPTION_{key.upper()}" for key in KEYS}
_KNOWN = {name.upper() for name in Settings.model_fields} - {"OPTIONS"} | {f"{name.upper()}_FILE" for name in SECRETS}
# What Compose reads is no slip, though it looks like one.
_OTHERS = {"RESULT_PORTS", "VOTE_PORTS"}
_ALIKE = 0.82  # of 1; by this measure OPTON_C is OPTION_C, and HOSTNAME is not HOST
_LONGER = 2  # letters


def _advice_on_name(name: str) -> str | None:
    upper = name.upper()
    # OpenTelemetry has many more names, and they are alike.
    if name in _KNOWN | _OPTIONS | _OTHERS or name.startswith("OTEL_"):
        return None
    if upper in _KNOWN | _OPTIONS:
        return f"{name} is not read: write it in capitals, {upper}"
    if re.fullmatch(r"OPTIONS?(_.*)?", upper):
        return f"{name} is not read: an option is one of OPTION_A to OPTION_Z"
    if upper.endswith("_FILE") and upper.removesuffix("_FILE") in _KNOWN:
        secrets = ", ".join(f"{secret.upper()}_FILE" for secret in SECRETS)
        return f"{name} is not read: from files come only {secrets}"
    alike = difflib.get_close_matches(upper, sorted(_KNOWN | _OPTIONS), 1, _ALIKE)
    if alike and abs(len(alike[0]) - len(name)) <= _LONGER:
        return f"{name} is not read: did you mean {alike[0]}?"
    return None
