"""Logs: events in the past tense with their facts; JSON, unless a person reads them on a terminal.

No voter id is logged above the debug level.
"""

import logging
import os
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from common.settings import Settings


def configure_logs(settings: Settings, service: str) -> None:
    """Send structlog's events and the standard library's records (Hypercorn's, asyncpg's) to standard output."""

    def add_service(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    on_console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stdout.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info if not on_console else _unchanged,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if on_console else "iso", utc=not on_console),
    ]
    if not on_console:
        shared.append(add_service)
    renderer: Processor = _console() if on_console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # its one line at the start tells everybody to press Ctrl-C; ours is in common/lifecycle.py
    logging.getLogger("hypercorn.error").setLevel(logging.WARNING)


def _console() -> Processor:
    # `make up` reads our output through a pipe, and says by these whether its own is a terminal
    colors = sys.stdout.isatty() if "NO_COLOR" not in os.environ else False
    return structlog.dev.ConsoleRenderer(colors=colors or "FORCE_COLOR" in os.environ, pad_event_to=0, pad_level=False)


def _unchanged(logger: Any, method: str, event: EventDict) -> EventDict:
    return event
