"""The bodies of the result API, as its documentation shows them."""

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
