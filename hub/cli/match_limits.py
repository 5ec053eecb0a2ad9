"""What following patterns over several exchanges lost or left open, and which tests cost a pass."""

from __future__ import annotations

from typing import Any, Final

from hub.cli.match_words import counted
from hub.match.limits import StateReport

_COUNTS: Final = ("completions", "held", "evicted", "late", "ungrouped")


def gathered(first: StateReport, then: StateReport) -> StateReport:
    """The reports of two passes as one."""
    return StateReport(
        **{name: getattr(first, name) + getattr(then, name) for name in _COUNTS},
        given_up=first.given_up | then.given_up,
    )


def told(report: StateReport, scans: int, examples: int) -> list[str]:
    """One sentence for each thing that an operator should know, none where nothing was lost.

    Args:
        scans: formulas that no index can look for.
        examples: how many indicators are named for each reason.
    """
    reasons: dict[str, list[str]] = {}
    for identifier, reason in sorted(report.given_up.items()):
        reasons.setdefault(reason, []).append(identifier)
    said = [
        f"{counted(len(ids), 'indicator')} over several exchanges not followed to the end: "
        f"{reason}{_named(ids[:examples])}; --since and --until make the task smaller"
        for reason, ids in reasons.items()
    ]
    if report.evicted:
        said.append(
            f"{counted(report.evicted, 'exchange')} forgotten that a pattern over several "
            "exchanges might still have needed, so that some of its matches may be missing; "
            "match a shorter time at once: --since and --until"
        )
    if report.late:
        said.append(
            f"{counted(report.late, 'exchange')} came too late for patterns over several "
            "exchanges, after younger ones, and were not counted in them; match logs in the order "
            "of time, or a shorter time at once: --since and --until"
        )
    if report.ungrouped:
        said.append(
            f"{counted(report.ungrouped, 'exchange')} not counted in patterns over several "
            "exchanges, for lack of the account or other value that these count by; --map or "
            "--accounts may fill it"
        )
    if report.held:
        said.append(
            f"{counted(report.held, 'exchange')} left over in patterns over several exchanges "
            "that were not complete; match these logs again together with the next"
        )
    if scans:
        one = scans == 1
        said.append(
            f"{counted(scans, 'test')} {'is' if one else 'are'} made of every exchange, since the "
            f"pattern{'' if one else 's'} name{'s' if one else ''} no value to look up: such as a "
            "range of numbers, NOT, or a regular expression without a plain word; each costs time"
        )
    return said


def _named(ids: list[str]) -> str:
    return f" (such as {', '.join(ids)})" if ids else ""


def to_json(report: StateReport) -> dict[str, Any]:
    """What was lost, under stable keys."""
    return {name: getattr(report, name) for name in _COUNTS} | {
        "given_up": [
            {"indicator_id": identifier, "reason": reason}
            for identifier, reason in sorted(report.given_up.items())
        ]
    }
