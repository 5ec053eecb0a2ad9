"""How many elements a member may have evaluated: a day's number and a burst, as plain arithmetic.

The day bounds how much of a small space of identifiers one member can enumerate; the burst bounds
how long it may keep the others waiting. The burst comes back evenly within an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.channel.custodians import Quota
from hub.errors import AccessError, InputError

DAY: Final = 86_400
HOUR: Final = 3_600
MOST: Final = 10**12


@dataclass(frozen=True)
class Rule:
    """What a member may have evaluated.

    Args:
        day: elements in a day of UTC.
        burst: elements at once.
    Raises:
        InputError: a number is not from 0 to 10^12, or the burst is 0.
    """

    day: int = 200_000
    burst: int = 100_000

    def __post_init__(self) -> None:
        if not 0 <= self.day <= MOST or not 1 <= self.burst <= MOST:
            raise InputError(f"a quota is a number up to {MOST}, a burst at least 1", where="quota")


@dataclass(frozen=True)
class Usage:
    """What a member has used.

    Args:
        day_start: when the day began that `used` counts, seconds UTC.
        used: elements in that day.
        spent: elements of the burst that have not come back at `at`, times 3,600.
        at: seconds UTC.
    """

    day_start: int
    used: int
    spent: int
    at: int


class QuotaExceededError(AccessError):
    """The batch does not fit into what is left.

    Args:
        quota: what is left.
        retry_after: seconds until the batch fits; None: it never does at once.
    """

    def __init__(self, message: str, quota: Quota, retry_after: int | None) -> None:
        hint = (
            "ask for fewer at once"
            if retry_after is None
            else f"try again in {retry_after} s, or ask the custodian's operator for more"
        )
        super().__init__(message, where="quota", hint=hint)
        self.quota = quota
        self.retry_after = retry_after


def quota_of(rule: Rule, usage: Usage | None, now: int) -> Quota:
    """What is left at a time."""
    return _quota(rule, _rolled(rule, usage, now))


def charge(rule: Rule, usage: Usage | None, count: int, now: int) -> Usage:
    """Charge a batch.

    Args:
        rule: the member's.
        usage: before; None for a member that never asked.
        count: elements, at least 1.
        now: seconds UTC; a clock that went back gives nothing back.
    Raises:
        QuotaExceededError: it does not fit; nothing is charged.
    """
    before = _rolled(rule, usage, now)
    over = before.spent + (count - rule.burst) * HOUR
    exhausted = before.used + count > rule.day
    if not exhausted and over <= 0:
        return Usage(before.day_start, before.used + count, before.spent + count * HOUR, before.at)
    left = _quota(rule, before)
    wait = max(before.at - now + -(-over // rule.burst), 0) if over > 0 else 0
    text = f"{count} elements at once, and {left.burst_left} of {rule.burst} are left just now"
    if exhausted:
        wait = max(wait, left.resets - now)
        text = f"{count} elements, and {left.left} of {rule.day} are left today"
    fits = count <= rule.day and count <= rule.burst
    raise QuotaExceededError(text, left, wait if fits else None)


def _rolled(rule: Rule, usage: Usage | None, now: int) -> Usage:
    today = now - now % DAY
    if usage is None:
        return Usage(today, 0, 0, now)
    used = usage.used if usage.day_start >= today else 0
    back = max(now - usage.at, 0) * rule.burst
    return Usage(max(usage.day_start, today), used, max(usage.spent - back, 0), max(usage.at, now))


def _quota(rule: Rule, usage: Usage) -> Quota:
    return Quota(
        day=rule.day,
        left=max(rule.day - usage.used, 0),
        resets=usage.day_start + DAY,
        burst=rule.burst,
        burst_left=max(rule.burst * HOUR - usage.spent, 0) // HOUR,
    )
