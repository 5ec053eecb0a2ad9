"""Which of many overlapping groups are the clusters: neither parts of one nor mixtures of two."""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.match.cluster.layers import Floats, Mask
from hub.match.cluster.refine import Group, belongs, weighed
from hub.match.cluster.rows import Ints
from hub.match.cluster.score import Scorer

_SAME: Final = 0.7
"""Overlap (Jaccard) from which two groups are one and the same."""
_ALIKE: Final = 0.5
"""Share of what its templates tell that a part of a cluster keeps under another part's profile;
between two operators it is less than a tenth, even where they rent the same exits."""
_FOREIGN: Final = 0.25
_MADE_UP: Final = 0.7


def _mass(group: Group, least: float) -> float:
    """Members that follow the profile well, less those that do not."""
    return float(np.sum(group.evidence.strength - least))


def distinct(groups: list[Group], scorer: Scorer) -> list[Group]:
    """The groups that are clusters of their own, the heaviest first."""
    least = scorer.parameters.strong / 2
    ordered = sorted(groups, key=lambda g: (-_mass(g, least), int(g.members[0])))
    kept: list[Group] = []
    for group in ordered:
        if all(_jaccard(group.members, other.members) < _SAME for other in kept):
            kept.append(group)
    if len(kept) < 2:
        return kept
    ratio, inside = _relations(kept, scorer)
    mixed = _mixtures(kept, ratio, inside)
    pure = [number for number in range(len(kept)) if not mixed[number]]
    found = [_joined(kept, part, scorer) for part in _parts(pure, ratio)]
    return [group for group in found if group is not None]


def _parts(numbers: list[int], ratio: Floats) -> list[list[int]]:
    """Groups that do the same work are one operator's, though their addresses may differ."""
    parts: list[list[int]] = []
    for number in numbers:
        part = next(
            (p for p in parts if min(ratio[p[0], number], ratio[number, p[0]]) >= _ALIKE), None
        )
        if part is None:
            parts.append([number])
        else:
            part.append(number)
    return parts


def _joined(groups: list[Group], part: list[int], scorer: Scorer) -> Group | None:
    members = np.unique(np.concatenate([groups[number].members for number in part]))
    return weighed(groups[part[0]].origin, members, scorer)


def _jaccard(one: Ints, other: Ints) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _relations(groups: list[Group], scorer: Scorer) -> tuple[Floats, Floats]:
    """What each group keeps of its work under each other's profile, as a share; and what share of
    each other's members it holds."""
    size = len(groups)
    everyone = np.unique(np.concatenate([group.members for group in groups]))
    ratio, inside = np.zeros((size, size)), np.zeros((size, size))
    places = [np.searchsorted(everyone, group.members) for group in groups]
    for a, group in enumerate(groups):
        work = scorer.evidence(group.profiles, everyone).work
        mine = np.zeros(len(everyone), np.bool_)
        mine[places[a]] = True
        for b, other in enumerate(groups):
            under = float(np.median(work[places[b]]))
            own = float(np.median(other.evidence.work))
            ratio[a, b] = under / max(own, 1e-9)
            inside[a, b] = float(mine[places[b]].mean())
    return ratio, inside


def _mixtures(groups: list[Group], ratio: Floats, inside: Floats) -> Mask:
    """Groups that are made up of others which do not do the same work."""
    size = len(ratio)
    out = np.zeros(size, np.bool_)
    for m in range(size):
        parts = [k for k in range(size) if k != m and inside[m, k] > 0.5]
        foreign = {
            k
            for a in parts
            for b in parts
            if max(ratio[a, b], ratio[b, a]) < _FOREIGN and max(inside[a, b], inside[b, a]) < 0.2
            for k in (a, b)
        }
        if foreign:
            held = np.unique(np.concatenate([groups[k].members for k in sorted(foreign)]))
            mine = groups[m].members
            out[m] = len(np.intersect1d(held, mine)) >= _MADE_UP * len(mine)
    return out


def assigned(groups: list[Group], scorer: Scorer) -> list[Ints]:
    """Give each account to the group whose profile it follows best, if it follows any."""
    near = np.unique(np.concatenate([scorer.near(group.profiles) for group in groups]))
    best = np.full(len(near), -np.inf)
    owner = np.full(len(near), -1)
    for number, group in enumerate(groups):
        evidence = scorer.evidence(group.profiles, near)
        strength = evidence.strength
        better = belongs(evidence, scorer) & (strength > best)
        best[better], owner[better] = strength[better], number
    return [near[owner == number] for number in range(len(groups))]
