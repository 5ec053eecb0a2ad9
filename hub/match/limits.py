"""What following patterns of several observations may cost, and what that cost."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StateLimits:
    """What following patterns of several observations may cost.

    Attributes:
        waiting: events that a run over logs holds back, to bring them into the order of time.
        eager: fewer of them, for what comes in that order by itself; None where logs may overlap.
        hits: events held, of all patterns together.
        hits_per_group: events held of one pattern and group.
        groups: pairs of pattern and group.
        searched: events among which a pattern of no simple form is searched.
        steps: assignments tried in one search.
        steps_per_pattern: assignments tried for one pattern, after which it is given up.
        steps_in_all: the same for all patterns together; then every pattern that is searched is.
        lateness: seconds that an event may come after a younger one.
    """

    waiting: int = 1_000_000
    eager: int | None = None
    hits: int = 2_000_000
    hits_per_group: int = 100_000
    groups: int = 200_000
    searched: int = 128
    steps: int = 20_000
    steps_per_pattern: int = 1_000_000
    steps_in_all: int = 10_000_000
    lateness: float = 0.0


@dataclass(slots=True)
class StateReport:
    """What was held, and what was lost to the limits.

    Attributes:
        held: events held now.
        groups: pairs of pattern and group followed now.
        completions: how often a pattern came to hold.
        evicted: events forgotten although they might still have mattered.
        late: events that came too late to be judged.
        ungrouped: events without a value of what their pattern groups or counts by.
        steps: assignments tried in searches.
        given_up: indicator id to the reason why its pattern is not followed (any more).
    """

    held: int = 0
    groups: int = 0
    completions: int = 0
    evicted: int = 0
    late: int = 0
    ungrouped: int = 0
    steps: int = 0
    given_up: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What the states of one pattern share.

    Attributes:
        lateness: microseconds.
        steps: assignments tried for this pattern so far.
    """

    limits: StateLimits
    report: StateReport
    lateness: int = 0
    steps: int = 0
