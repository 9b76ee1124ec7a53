"""The bodies of the vote API, as its documentation shows them."""

from pydantic import BaseModel, Field

from vote.voter import HIGHEST_NUMBER


class VoteBody(BaseModel):
    vote: str = Field(description="an option's key", examples=["a"])
    code: str = Field("", description="the voter's code, in polls that ask for one; otherwise ignored")

    number: int | None = Field(
        None,
        ge=1,
        le=HIGHEST_NUMBER,
        description="the vote's place in its voter's own order: of two votes the higher number counts",
    )


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
