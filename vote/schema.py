"""The bodies of the vote API, as its documentation shows them."""

from pydantic import BaseModel, Field


class VoteBody(BaseModel):
    vote: str = Field(description="an option's key", examples=["a"])


class ReceiptBody(BaseModel):
    vote: str
    label: str
    cast_at: str = Field(description="when the vote was accepted, RFC 3339 in UTC")


class OptionBody(BaseModel):
    key: str
    label: str


class BallotBody(BaseModel):
    question: str
    options: list[OptionBody]
