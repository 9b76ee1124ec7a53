"""A recipe of docs/hands-on.md, done as it is typed, in a copy of the project that runs."""

import re
from pathlib import Path

import asyncpg
import httpx

from tests.integration.copies import Up
from tests.services import PROJECT
from tests.waiting import eventually_async

# what is typed, and where: a pattern of the place, and the text there afterwards
A_COLUMN = {
    "db/schema.sql": [(r"\Z", "ALTER TABLE votes ADD COLUMN IF NOT EXISTS instance TEXT;\n")],
    "common/message.py": [
        (r"(class Vote\b(?:.|\n)*?\n)\n\n", r"\1    instance: str | None = None\n\n\n"),
        (r"(class _Fields\b(?:.|\n)*?\n)\n\n", r"\1    instance: str | None = None\n\n\n"),
        (r"(    return json\.dumps\(message\))", r'    message["instance"] = vote.instance\n\1'),
        (r"(        fields\.number,\n)", r"\1        fields.instance,\n"),
    ],
    "vote/casting.py": [
        (r"from common\.web import ", "from common.web import INSTANCE, "),
        (r"(encode\(Vote\([^()]*)", r"\1, instance=INSTANCE"),
    ],
    "worker/batch.py": [
        (r"(    numbers: .*\n)", r"\1    instances: list[str | None]\n"),
        (r"(        \*_numbers\(votes\),\n)", r"\1        [vote.instance for vote in votes],\n"),
    ],
    "worker/record.py": [
        (r"(\(voter_id, vote, cast_at, series, number)", r"\1, instance"),
        (r"(interval '1 microsecond', series, number)", r"\1, instance"),
        (r"(microseconds, series, number)", r"\1, instance"),
        (r"(\$5::int\[\])", r"\1, $6::text[]"),
        (r"(SET )", r"\1instance = excluded.instance, "),
    ],
}
TYPED = [
    "ALTER TABLE votes ADD COLUMN IF NOT EXISTS instance TEXT;",
    "instance: str | None = None",
    'message["instance"] = vote.instance',
    "fields.instance",
    "instance=INSTANCE",
    "instances: list[str | None]",
    "[vote.instance for vote in votes]",
    "$6::text[]",
    "instance = excluded.instance,",
]


def do(edits: dict[str, list[tuple[str, str]]], project: Path) -> None:
    for name, changes in edits.items():
        path = project / name
        text = path.read_text(encoding="utf-8")
        for pattern, new in changes:
            text, found = re.subn(pattern, new, text)
            assert found == 1, f"{name} has no place, or several, for {new!r}"
        path.write_text(text, encoding="utf-8")


def test_the_recipe_says_what_is_typed_here() -> None:
    recipe = (PROJECT / "docs" / "hands-on.md").read_text(encoding="utf-8")

    assert [words for words in TYPED if f"`{words}`" not in recipe] == []
    assert [name for name in A_COLUMN if f"- [{name}](../{name})" not in recipe] == []


async def test_a_column_is_added_as_the_recipe_says_while_all_runs(up: Up) -> None:
    """What has been forgotten so far is told as a fault, not as servers that are away."""
    assert up.vote("a") == 202
    do({name: A_COLUMN[name] for name in ("common/message.py", "vote/casting.py", "worker/record.py")}, up.project)
    up.until_line(r"failing .*column .*instance.* does not exist")
    do({name: A_COLUMN[name] for name in ("db/schema.sql", "worker/batch.py")}, up.project)

    async def instance() -> object:
        up.vote("b")  # again and again: until the new processes are ready, the old ones take and record votes
        connection = await asyncpg.connect(up.facts().database_url)
        try:
            return await connection.fetchval("SELECT instance FROM votes WHERE instance IS NOT NULL LIMIT 1")
        finally:
            await connection.close()

    despite = (asyncpg.PostgresError, httpx.HTTPError, OSError)
    assert await eventually_async(instance, within=60, saying="a vote has an instance", despite=despite)
