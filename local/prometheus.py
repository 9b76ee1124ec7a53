"""Prometheus beside the rest: `make up OBSERVE=1`, where it is on PATH."""

import re
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from common.preflight import with_port
from common.settings import Settings
from local.environment import PROJECT, environment
from local.errors import LocalError
from local.parts import Part

PROMETHEUS = "prometheus"
OBSERVE = PROJECT / "observe"
MISSING = (
    "OBSERVE=1: there is no Prometheus on PATH, so everything runs without it (Debian, Ubuntu: apt install prometheus; "
    "Homebrew: brew install prometheus)"
)

# The addresses in observe/prometheus.yml, which are those of a `make up` with the default ports.
_DEFAULTS = {"vote": "localhost:5000", "worker": "localhost:9100", "result": "localhost:5001"}

# The log has a time of its own, and nobody needs the line of Prometheus' source.
_HEAD = re.compile(r"\b(ts|time|caller|source)=\S+ ")
_CHATTER = "Received SIGTERM"


def has_prometheus() -> bool:
    """Whether it is on PATH."""
    return shutil.which(PROMETHEUS) is not None


def observers(settings: Settings, urls: Mapping[str, str]) -> list[Part]:
    """Prometheus, if it is wanted and installed; says so if it is not installed."""
    if not settings.observe:
        return []
    binary = shutil.which(PROMETHEUS)
    if binary is None:
        print(MISSING, flush=True)
        return []
    folder = settings.data_dir / PROMETHEUS
    return [prometheus_part(binary, folder, host=settings.host, port=settings.prometheus_port, urls=urls)]


def prometheus_part(binary: str, data: Path, *, host: str, port: int, urls: Mapping[str, str]) -> Part:
    """The server that scrapes the services at these addresses; its data is in the folder `data`."""
    config = data / "prometheus.yml"
    return Part(
        name=PROMETHEUS,
        argv=(
            *(binary, f"--config.file={config}", f"--storage.tsdb.path={data / 'data'}"),
            *(f"--web.listen-address={with_port(host, port)}", "--storage.tsdb.retention.time=7d", "--log.level=warn"),
        ),
        environ=environment(),
        folder=PROJECT,
        prepare=partial(_prepare, config, dict(urls)),
        tidy=_tidy,
    )


def configuration(urls: Mapping[str, str]) -> str:
    """observe/prometheus.yml for services at these addresses; the rules stay where they are."""
    text = (OBSERVE / "prometheus.yml").read_text(encoding="utf-8")
    text = _replace(text, "- rules/", f"- {OBSERVE}/rules/")
    for name, default in _DEFAULTS.items():
        address = urlsplit(urls[name])
        text = _replace(text, f'- targets: ["{default}"]', f'- targets: ["{address.netloc}"]')
        if address.scheme == "https":  # on this machine a certificate of one's own will do
            tls = f"job_name: {name}\n    scheme: https\n    tls_config: {{ insecure_skip_verify: true }}\n"
            text = _replace(text, f"job_name: {name}\n", tls)
    return text


def _prepare(config: Path, urls: Mapping[str, str]) -> list[str]:
    config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.write_text(configuration(urls), encoding="utf-8")
    return []


def _tidy(line: str) -> str | None:
    return None if _CHATTER in line else _HEAD.sub("", line)


def _replace(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise LocalError(f"observe/prometheus.yml was changed: {old.strip()!r} should be there once")
    return text.replace(old, new)
