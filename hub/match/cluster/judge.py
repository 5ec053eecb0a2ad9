"""Which settled groups are hydra clusters, and which are honest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.match.cluster.layers import ADDRESS, Mask
from hub.match.cluster.profile import LayerScorer, Profile
from hub.match.cluster.refine import Group
from hub.match.cluster.rows import Ints
from hub.match.cluster.score import Scorer, evenness

_CROWD: Final = 10
"""Users of a template for each member that makes it: beyond, it is public and tells nothing."""
_LEAST: Final = {"identity": 0.25, "egress": 0.5, "prompt": 0.5}


@dataclass(frozen=True)
class Verdict:
    """What a group shows, and whether that makes it a cluster.

    Attributes:
        accounts, units: accounts, and independent customers among them.
        largest_unit: share of the accounts that one organisation has.
        evenness: spread of the log of daily exchanges.
        identity, egress, prompt: share of the accounts that the layer ties to the others.
        prompt_share, egress_share: share of exchanges on templates and addresses of the group.
        closed_prompt, closed_egress: share of exchanges on templates and addresses that the group
            has to itself: most accounts that show them are its own.
        layers: sharing layers that tie most accounts.
        addresses: effective number of addresses that members share; `payer` largest share of the
            members that one identity has.
        strength: what the median account has in common with the others.
        seeded: share of the accounts that published indicators hit.
        score: 0 to 1.
        reason: why it is none, or empty.
    """

    accounts: int
    units: int
    largest_unit: float
    evenness: float
    identity: float
    egress: float
    prompt: float
    prompt_share: float
    egress_share: float
    closed_prompt: float
    closed_egress: float
    layers: int
    addresses: float
    payer: float
    strength: float
    seeded: float
    score: float
    reason: str

    @property
    def accepted(self) -> bool:
        """Whether the group is a cluster."""
        return not self.reason


class Judge:
    """Decides on settled groups.

    Args:
        hit: which accounts published indicators hit.
    """

    def __init__(self, scorer: Scorer, hit: Mask) -> None:
        self._scorer = scorer
        self._hit = hit
        self._prompts = scorer.prompts_shown

    def verdict(self, group: Group) -> Verdict:
        """Judge one group."""
        scorer, members = self._scorer, group.members
        limits = scorer.parameters
        units, sizes = np.unique(scorer.traffic.unit[members], return_counts=True)
        tied = {
            name: float(np.mean(getattr(group.evidence, name) >= limits.layer_score))
            for name in _LEAST
        }
        profiles = group.profiles
        seeded = float(self._hit[members].mean())
        even = self._evenness(group)
        closed_prompt = _closed(scorer.prompt, profiles.prompt, members)
        closed_egress = _closed(scorer.egress, profiles.egress, members)
        layers = sum(tied[name] >= least for name, least in _LEAST.items())
        strength = float(np.median(group.evidence.strength))
        # Logistic in what members have in common; a published indicator adds to it.
        points = 0.1 * (strength - limits.strong) + 2.0 * max(closed_prompt, closed_egress)
        points += 2.0 * (limits.even - even) + 2.0 * seeded
        shown = Verdict(
            len(members),
            len(units),
            float(sizes.max()) / len(members),
            even,
            tied["identity"],
            tied["egress"],
            tied["prompt"],
            profiles.prompt.share,
            profiles.egress.share,
            closed_prompt,
            closed_egress,
            layers,
            self._pool(group),
            self._payer(group),
            strength,
            seeded,
            float(1.0 / (1.0 + np.exp(-points))),
            "",
        )
        return Verdict(**{**vars(shown), "reason": self._reason(shown)})

    def _evenness(self, group: Group) -> float:
        """Spread of load over all accounts that live on the group's templates as members do.

        Members alone would look even: their load helped to choose them. Users of a template whose
        client and addresses are others are another crowd, whose load says nothing of this one.
        """
        scorer, profile = self._scorer, group.profiles.prompt
        layer = scorer.prompt
        if not self._prompts:
            return evenness(scorer.traffic, group.members)
        own = profile.nodes[profile.own & (profile.outside <= _CROWD * profile.accounts)]
        out = np.zeros(scorer.traffic.accounts, np.bool_)
        layer.marked(own, out)
        users = np.flatnonzero(out)
        member = np.zeros(len(out), np.bool_)
        member[group.members] = True
        work = layer.weighed(profile, users, member)
        usual = float(np.median(group.evidence.work))
        living = users[work >= scorer.parameters.relative_work * usual]
        evidence = scorer.evidence(group.profiles, living)
        living = living[np.maximum(evidence.client, evidence.egress) > 0]
        return evenness(scorer.traffic, np.union1d(living, group.members))

    def _pool(self, group: Group) -> float:
        """How many addresses carry what members send from shared ones: exp of the entropy."""
        profile, layer = group.profiles.egress, self._scorer.traffic.egress
        shared = (profile.accounts >= 2) & (layer.kind[profile.nodes] == ADDRESS)
        used = profile.used[shared]
        if not used.sum():
            return 0.0
        part = used / used.sum()
        return float(np.exp(-(part * np.log(part)).sum()))

    def _site(self, shown: Verdict) -> bool:
        """Whether it looks like one office: few accounts behind one door, or one payer there; or
        like a class, whose students have nothing but the door and the work in common."""
        limits = self._scorer.parameters
        if not 0 < shown.addresses < limits.site_addresses:
            return False
        few = shown.accounts < limits.site_accounts
        return few or shown.payer >= limits.one_payer or shown.identity < _LEAST["identity"]

    def _payer(self, group: Group) -> float:
        """Largest share of the members that one token has."""
        most = group.profiles.identity.accounts
        return float(most.max()) / len(group.members) if len(most) else 0.0

    def _reason(self, shown: Verdict) -> str:
        limits = self._scorer.parameters
        # Published elsewhere: what is asked here may be less.
        seeded = shown.seeded >= limits.seeded
        strong = limits.strong if self._prompts else limits.strong_bare
        few = min(shown.accounts / limits.many, 1.0)
        even = limits.even_few + few * (limits.even - limits.even_few)
        even = even if self._prompts else min(even, limits.even_bare)
        least = 2 if self._prompts or self._scorer.traffic.identity.nodes.size else 1
        checks = (
            (shown.units < limits.min_accounts, "too few independent customers"),
            (shown.largest_unit > 0.5, "one organisation"),
            (self._site(shown), "one site"),
            (shown.evenness > (limits.uneven if seeded else even), "uneven load"),
            (shown.layers < least, "fewer than two layers"),
            (shown.strength < strong * (0.6 if seeded else 1.0), "too little in common"),
            (not self._closed(shown), "strangers share all of it"),
        )
        return next((reason for failed, reason in checks if failed), "")

    def _closed(self, shown: Verdict) -> bool:
        """Whether the group has something to itself, which a part of a crowd has not."""
        limits = self._scorer.parameters
        if shown.closed_prompt >= limits.closed:
            return True
        carded = shown.identity >= limits.carded_bare and shown.payer < limits.one_payer
        if self._prompts:
            own = shown.closed_egress >= limits.closed_only
            return own and carded and shown.evenness <= limits.even_bare
        return shown.closed_egress >= limits.closed or carded


def _closed(layer: LayerScorer, profile: Profile, members: Ints) -> float:
    most = (profile.accounts > 2) & (profile.accounts > profile.outside)
    shares, shown = layer.touching(profile.nodes[most & profile.own], members)
    return float(np.mean(shares[shown > 0])) if (shown > 0).any() else 0.0
