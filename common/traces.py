"""Optional tracing: one vote is one trace, from its request through the queue to the dashboards.

Off by default: then OpenTelemetry is neither needed nor imported, and every function here returns at once. Services
pass on a traced vote's `traceparent` as W3C Trace Context defines it, and nothing else.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

import structlog

from common.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

TRACEPARENT_LENGTH = 55
EXPORT_SECONDS = 1.0  # how long sending may take, even at the end, when the service should exit soon

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")

log = structlog.get_logger()

# One per process, as with logs and metrics; None: off.
_provider: "TracerProvider | None" = None
# The current request; each has its own task.
_request: "ContextVar[Span | None]" = ContextVar("request", default=None)


def is_on() -> bool:
    """Whether votes are traced."""
    return _provider is not None


def use(provider: "TracerProvider | None") -> None:
    """Trace with this provider, or with None not at all."""
    global _provider
    _provider = provider


@contextmanager
def traces(settings: Settings, service: str) -> Iterator[None]:
    """Send traces as the settings say, until the end."""
    if not settings.otel_exporter_otlp_endpoint:
        yield
        return
    try:
        provider = _sending(settings.otel_exporter_otlp_endpoint, service)
    except ImportError as error:
        # taking votes matters more than tracing them
        log.warning("traces_off", problem=f"{error}: install observe/requirements-traces.txt")
        yield
        return
    use(provider)
    try:
        yield
    finally:
        use(None)
        provider.shutdown()


def _sending(endpoint: str, service: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # it would log a line for each attempt to send
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(resource=Resource.create({"service.name": f"tallyho-{service}"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    log.info("tracing", endpoint=endpoint)
    return provider


def begin(
    name: str, *, of: str, parent: "str | Span | None" = None, linked: "Span | None" = None, start_ns: int | None = None
) -> "Span | None":
    """Begin a span of this part of the system; `end` ends it. The parent may be another service's traceparent."""
    if _provider is None:
        return None
    from opentelemetry.trace import Link, SpanKind, set_span_in_context

    context = _remote(parent) if isinstance(parent, str) else set_span_in_context(parent) if parent else None
    kind = SpanKind.CONSUMER if isinstance(parent, str) else SpanKind.INTERNAL if parent else SpanKind.SERVER
    links = [Link(linked.get_span_context())] if linked else []
    return _provider.get_tracer(f"tallyho.{of}").start_span(
        name, context=context, kind=kind, links=links, start_time=start_ns
    )


def end(
    span: "Span | None", error: BaseException | None = None, attributes: Mapping[str, str | int] | None = None
) -> None:
    """End a span, with its outcome."""
    if span is None:
        return
    from opentelemetry.trace import StatusCode

    span.set_attributes(attributes or {})
    if error is not None:
        span.set_status(StatusCode.ERROR, str(error) or type(error).__name__)
    span.end()


def enter_request(span: "Span | None") -> None:
    """Whatever this task does from now on belongs to the request."""
    _request.set(span)


def pushing() -> AbstractContextManager[str | None]:
    """The span of pushing a vote; yields the traceparent to send with it, None if it is not traced."""
    return nullcontext() if _provider is None else _pushing()


@contextmanager
def _pushing() -> Iterator[str | None]:
    span = begin("push", of="vote", parent=_request.get())
    try:
        yield traceparent(span)
    except Exception as error:
        end(span, error)
        raise
    end(span)


def traceparent(span: "Span | None") -> str | None:
    """Identifies a span to other services; None if it is not traced."""
    if span is None or not span.is_recording():
        return None
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def _remote(text: str) -> "Context | None":
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    trace, span = (int(part, 16) for part in found.groups())
    return set_span_in_context(NonRecordingSpan(SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(1))))
