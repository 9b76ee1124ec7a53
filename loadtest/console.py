"""What a run found, on the console."""

from typing import Any

from loadtest.runs import Run
from loadtest.settings import shown


def say(run: Run) -> None:
    """Print the audit and the verdict."""
    for line in in_words(run.result, shown(run.folder)) if run.result else [run.problem or "the run did not end"]:
        print(line, flush=True)


def in_words(result: dict[str, Any], folder: str) -> list[str]:
    """The audit and the verdict of a run."""
    return [
        "",
        *result["climb_in_words"],
        *_audit(result["audit"]),
        "",
        f"Votes: {result['votes']:,} accepted in {result['seconds']:g} s, {result['votes_per_second']:g} a second",
        f"Cores used: {', '.join(f'{name} {share:.0%}' for name, share in result['cores_used'].items())}",
        *_memory(result["memory"]),
        *result["limits_in_words"],
        *result["problems"],
        "",
        f"{'PASSED' if result['ok'] else 'FAILED'}; the report: {folder}/report.html",
    ]


def _audit(audit: dict[str, Any]) -> list[str]:
    lines = [f"Audit: {'every vote was found' if audit['ok'] else 'FOUND WRONG'}"]
    if "voters" in audit:
        lines += [
            f"  {audit['accepted']:,} votes of {audit['voters']:,} voters accepted, {audit['refused']:,} refused, "
            f"{audit['in_doubt']:,} in doubt; {audit['seconds']:g} s to look",
            f"  {audit['confirmed']:,} voters confirmed   {audit['lost']} lost   {audit['doubled']} doubled   "
            f"{audit['reverted']} reverted   {audit['undecided']} undecided   {audit['either']} voted twice at once",
        ]
    lines += [f"  wrong: {problem}" for problem in audit["problems"]]
    lines += [f"  note: {note}" for note in audit["notes"]]
    return lines


def _memory(memory: dict[str, float]) -> list[str]:
    if not memory:
        return []
    return [
        f"Memory of the load test: {memory['after_warm_up_mb']:g} MB after the first minute, "
        f"{memory['growth_mb']:+g} MB in the {memory['minutes']:g} minutes after it"
    ]
