"""Messages as somebody with access to Redis might write them: from noise to votes that are nearly right."""

import json

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# also what JSON can say and no file can hold: half of a surrogate pair
ANY_TEXT = st.text(st.characters(categories=None), max_size=300)
# whole numbers that no float can hold, and times before and after all calendars
NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(-(10**13), 10**13),
    st.integers(min_value=300, max_value=4200).map(lambda digits: 10**digits),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=4,
)
FIELDS: dict[str, SearchStrategy[object]] = {
    "voter_id": st.one_of(ANYTHING, ANY_TEXT, st.from_regex(r"[0-9a-f]{8}", fullmatch=True)),
    "vote": st.one_of(ANYTHING, st.sampled_from(["a", "b", "z", "A", "ab", "", "é", "\0"])),
    "cast_at": st.one_of(ANYTHING, NUMBERS),
}
NEARLY_VOTES = st.fixed_dictionaries({}, optional=FIELDS | {"traceparent": ANYTHING})
VOTES = st.fixed_dictionaries(
    {"voter_id": st.from_regex(r"[0-9a-f]{4}", fullmatch=True), "vote": st.sampled_from("abz")},
    optional={"cast_at": st.floats(min_value=-6e10, max_value=2.5e11)},
)


def written(value: object, ascii_only: bool, encoding: str) -> bytes:
    """A value as JSON of this kind."""
    return json.dumps(value, ensure_ascii=ascii_only).encode(encoding, "surrogatepass")


ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"])
JSON = st.builds(written, st.one_of(VOTES, NEARLY_VOTES, ANYTHING), st.booleans(), ENCODINGS)
TRUNCATED = st.builds(lambda text, end: text[:end], JSON, st.integers(0, 60))
NESTED = st.builds(lambda opening, depth: opening * depth, st.sampled_from([b"[", b'{"vote":']), st.integers(1, 20_000))
MESSAGES = st.one_of(JSON, JSON, st.binary(max_size=400), TRUNCATED, NESTED)
