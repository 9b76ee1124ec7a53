"""Logs: events in the past tense with their facts, as JSON unless a person reads them on a terminal.

No voter id is logged above the debug level.
"""

import logging
import sys

import structlog
from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import BoundLogger, LoggerFactory, ProcessorFormatter, add_log_level, filter_by_level
from structlog.typing import EventDict, Processor, WrappedLogger

from common.settings import Settings


def configure_logs(settings: Settings, service: str) -> None:
    """Send structlog's events and the standard library's records (Hypercorn's, asyncpg's) to standard output."""
    log_format = settings.log_format
    if log_format == "auto":
        log_format = "colour" if sys.stdout.isatty() else "json"
    if log_format == "json":
        facts: list[Processor] = [add_log_level, format_exc_info, TimeStamper(fmt="iso"), _name(service)]
        renderer: Processor = JSONRenderer()
    else:
        facts = [add_log_level, TimeStamper(fmt="%H:%M:%S", utc=False)]
        renderer = structlog.dev.ConsoleRenderer(
            colors=log_format == "colour",
            pad_event_to=0,
            pad_level=False,
            # where rich is installed, it would print all local variables in tracebacks, secrets included
            exception_formatter=structlog.dev.plain_traceback,
        )
    structlog.configure(
        processors=[filter_by_level, *facts, ProcessorFormatter.wrap_for_formatter],
        logger_factory=LoggerFactory(),
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = ProcessorFormatter(
        foreign_pre_chain=facts, processors=[ProcessorFormatter.remove_processors_meta, renderer]
    )
    _take_all_records(formatter, settings.log_level)


def _take_all_records(formatter: logging.Formatter, level: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("asyncio", "hypercorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _name(service: str) -> Processor:
    def add_service(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add_service
