"""The names of series in a PromQL expression, as far as ours go."""

import re

KEYWORDS = {
    *("and", "or", "unless", "by", "without", "on", "ignoring", "bool", "offset", "group_left", "group_right"),
    *("sum", "max", "min", "avg", "count", "rate", "increase", "absent", "time", "vector", "histogram_quantile"),
}


def metrics_in(expression: str) -> set[str]:
    """What is neither a keyword, nor a function, nor a label."""
    bare = re.sub(r"\{.*?\}|\[.*?\]", "", re.sub(r'"[^"]*"', '""', expression))
    bare = re.sub(r"\b(by|without|on|ignoring) *\([^)]*\)", "", bare)
    return set(re.findall(r"\b[a-zA-Z_][a-zA-Z0-9_:]*\b", bare)) - KEYWORDS
