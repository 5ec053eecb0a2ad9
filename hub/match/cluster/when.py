"""When a cluster could first be told: the exchange that tipped it.

The decision is repeated on what had happened up to a time, with everybody else's habits as they
are known now. It is looked for in doubling steps and then by bisection.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.match.cluster.layers import traffic_of
from hub.match.cluster.refine import Group, belongs, weighed
from hub.match.cluster.rows import Ints
from hub.match.cluster.score import Scorer, evenness

_STEPS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def tipped(group: Group, scorer: Scorer) -> Ints:
    """When each account of a cluster was told, UTC microseconds.

    Returns:
        For each member the later of two times: that of the exchange with which the cluster could
        be told at all, and that of the exchange with which the account followed its profile.
    """
    rows = _rows_of(group.members, scorer)
    times = scorer.traffic.collected.rows.time[rows]
    order = np.argsort(times, kind="stable")
    first = times[order[_first(group, scorer, rows, order) - 1]]
    found: Ints = np.maximum(_joined(group, scorer), first)
    return found


def _rows_of(members: Ints, scorer: Scorer) -> Ints:
    begin, events = scorer.traffic.begin[members], scorer.traffic.events[members]
    offsets = np.r_[0, np.cumsum(events)]
    found: Ints = np.repeat(begin - offsets[:-1], events) + np.arange(offsets[-1])
    return found


def _first(group: Group, scorer: Scorer, rows: Ints, order: Ints) -> int:
    """The smallest number of exchanges, in order of time, that tell the cluster."""
    total = len(order)
    low, high = 0, min(64, total)
    while high < total and not _told(group, scorer, np.sort(rows[order[:high]])):
        low, high = high, min(high * 2, total)
    while high - low > 1:
        middle = (low + high) // 2
        if _told(group, scorer, np.sort(rows[order[:middle]])):
            high = middle
        else:
            low = middle
    return high


def _told(group: Group, scorer: Scorer, rows: Ints) -> bool:
    """Whether these exchanges alone, against all of the others', make a cluster."""
    collected, limits = scorer.traffic.collected, scorer.parameters
    members = np.unique(collected.rows.account[rows]).astype(np.int64)
    if len(members) < limits.min_accounts:
        return False
    part = traffic_of(collected.part(members, rows))
    smaller = Scorer(part, limits, scorer.world(group.members, part))
    found = weighed(group.origin, np.arange(len(members)), smaller)
    if found is None or len(np.unique(part.unit[found.members])) < limits.min_accounts:
        return False
    least = limits.strong if scorer.prompts_shown else limits.strong_bare
    strong = float(np.median(found.evidence.strength)) >= least
    return strong and evenness(part, found.members) <= limits.uneven


def _joined(group: Group, scorer: Scorer) -> Ints:
    """Time of the exchange with which each member follows the profile of the whole."""
    traffic, members = scorer.traffic, group.members
    at = np.minimum(_STEPS[-1], traffic.events[members])
    open_ = np.ones(len(members), np.bool_)
    for step in _STEPS:
        evidence = scorer.evidence(group.profiles, members, step)
        now = open_ & belongs(evidence, scorer)
        at[now] = np.minimum(step, traffic.events[members][now])
        open_ &= ~now
    found: Ints = traffic.collected.rows.time[traffic.begin[members] + at - 1]
    return found
