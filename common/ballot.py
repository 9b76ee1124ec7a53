"""The question and its options, as voters see them."""

import string
from dataclasses import dataclass

# An option's key is one letter; `OPTION_C=Birds` makes the option with the key "c".
KEYS = string.ascii_lowercase


@dataclass(frozen=True, slots=True)
class Option:
    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Ballot:
    question: str
    options: tuple[Option, ...]

    @classmethod
    def of(cls, options: tuple[Option, ...], question: str = "") -> "Ballot":
        """The ballot with these options; without a question, the labels make one: "Cats, Dogs or Birds?"."""
        *first, last = [option.label for option in options]
        return cls(question or f"{', '.join(first)} or {last}?", options)

    def label(self, key: str) -> str | None:
        """The label of the option with this key, None if there is no such option."""
        return next((option.label for option in self.options if option.key == key), None)
