"""The bodies of the result API, as documented."""

from typing import ClassVar

from pydantic import BaseModel, Field


class OptionTally(BaseModel):
    key: str
    label: str
    votes: int
    percent: float = Field(description="of all votes, to one decimal")


class TallyBody(BaseModel):
    question: str
    options: list[OptionTally]
    total: int
    as_of: str | None = Field(description="when the newest counted vote was cast, RFC 3339 in UTC")
    read_at: str = Field(description="when the tally was last read, RFC 3339 in UTC")


class Flow(BaseModel):
    total: int = Field(description="since the queue began")
    per_second: float | None = Field(description="since the previous reading; null if that is too long ago")


class WorkersBody(BaseModel):
    counting: str | None = Field(description="the worker that counts, as host:process")
    standing_by: list[str]


class VoteServiceBody(BaseModel):
    name: str = Field(description="host:process")
    accepted: int = Field(description="votes of the last 10 s")
    refused: int = Field(description="because of the vote or its voter")
    unrecorded: int = Field(description="their voters were asked to vote again")
    silent_seconds: int = Field(description="since its last report, by Redis' clock")
    does: str = Field(description="takes votes, refuses votes or silent")


class RejectionBody(BaseModel):
    reason: str
    rejected_at: str


class PanelWords(BaseModel):
    value: str
    note: str


class PipelineBody(BaseModel):
    state: str = Field(
        description="counting, delayed, votes_refused, votes_in_doubt, nobody_takes_votes, nobody_counts, "
        "database_unreachable, redis_unreachable, queue_broken or unknown"
    )
    severity: str = Field(description="well, warning or alarm")
    title: str = Field(description="the state in one sentence")
    detail: str
    read_at: str = Field(description="when this was read, RFC 3339 in UTC")
    accepted: Flow | None
    waiting: int | None = Field(description="accepted votes that are not yet counted")
    oldest_waiting_seconds: float | None = Field(description="0 when none waits")
    recorded: Flow | None = Field(description="settled: recorded, rejected, or dropped by a reset")
    rejected: int | None
    last_rejected: list[RejectionBody] | None = Field(description="newest first")
    refusal: str | None = Field(description='why Redis takes no votes now, "" if it does')
    vote_services: list[VoteServiceBody] | None
    workers: WorkersBody | None
    viewers: int = Field(description="dashboards connected to this process")
    redis: str = Field(description="answers, unreachable, refuses, broken or not_configured")
    database: str = Field(description="answers, unreachable, refuses or not_configured")
    words: dict[str, PanelWords] = Field(description="the figures as the page shows them")


class TallyTable(BaseModel):
    """A line per option: key, label, votes, percent."""

    MEDIA_TYPE: ClassVar[str] = "text/csv"
