"""How far accounts follow a cluster's profile: log-likelihood ratios by layer, bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.match.cluster.layers import ABSENT, Floats, Mask, Traffic, translated
from hub.match.cluster.parameters import Parameters
from hub.match.cluster.profile import Beyond, LayerScorer, Profile
from hub.match.cluster.rows import Ints

_HOUR_WEIGHT: Final = 12.0
"""Exchanges whose hours count; more say the same again."""
_LEAST_RATE: Final = 0.05
_LEAST_SPREAD: Final = 0.15


@dataclass(frozen=True)
class Evidence:
    """Log-likelihood ratios of accounts; natural logarithms.

    `strength` is their sum with wider bounds: it tells which of two clusters an account is of.
    `work` is the wide ratio of the layer that tells operators apart: what the accounts are used
    for (prompts), or their addresses where the source shows no prompts.
    """

    identity: Floats
    egress: Floats
    prompt: Floats
    client: Floats
    rate: Floats
    hours: Floats
    strength: Floats
    work: Floats

    @property
    def total(self) -> Floats:
        """The sum over all layers, each bounded."""
        found: Floats = (
            self.identity + self.egress + self.prompt + self.client + self.rate + self.hours
        )
        return found

    def layers(self, least: float) -> Ints:
        """How many of the three sharing layers reach `least`."""
        found: Ints = (
            (self.identity >= least).astype(np.int64)
            + (self.egress >= least)
            + (self.prompt >= least)
        )
        return found

    def of(self, kept: Mask) -> Evidence:
        """The evidence of some of the accounts."""
        return Evidence(**{name: column[kept] for name, column in vars(self).items()})


@dataclass(frozen=True)
class Profiles:
    """A cluster in each layer that accounts share."""

    members: Ints
    identity: Profile
    egress: Profile
    prompt: Profile
    client: Profile


@dataclass(frozen=True)
class World:
    """What a part of the traffic is compared with: everybody else.

    Attributes:
        layers: identity, egress, prompt and client as the others show them.
        accounts: how many others there are.
        rate_middle, rate_spread, hours: load and rhythm of all accounts.
    """

    layers: tuple[Beyond, Beyond, Beyond, Beyond]
    accounts: int
    rate_middle: float
    rate_spread: float
    hours: Floats


class Scorer:
    """Weighs accounts against one cluster after the other.

    Args:
        world: where `traffic` is only a part of it, the rest.
    """

    def __init__(
        self, traffic: Traffic, parameters: Parameters, world: World | None = None
    ) -> None:
        self.traffic = traffic
        self.parameters = parameters
        self.prompts_shown = bool((traffic.prompt.rows != ABSENT).any())
        one = np.ones(traffic.accounts, np.int64)
        identity = traffic.identity
        beyond = world.layers if world else (None, None, None, None)
        self.identity = LayerScorer(identity, identity.begin, one, parameters, beyond[0])
        self.egress, self.prompt, self.client = (
            LayerScorer(layer, traffic.begin, traffic.events, parameters, other)
            for layer, other in zip(
                (traffic.egress, traffic.prompt, traffic.client), beyond[1:], strict=True
            )
        )
        self._accounts = traffic.accounts + (world.accounts if world else 0)
        self._known = traffic.events > 0
        self._log_rate = np.log(np.maximum(traffic.rate, _LEAST_RATE))
        rates = self._log_rate[self._known]
        self._rate_middle = float(np.median(rates)) if len(rates) else 0.0
        self._rate_spread = max(spread(rates), 0.5)
        hours = traffic.hours[self._known]
        self._hours_of_all = (hours.sum(0) + 0.5) / (len(hours) + 12)
        if world is not None:
            self._rate_middle, self._rate_spread = world.rate_middle, world.rate_spread
            self._hours_of_all = world.hours

    def world(self, members: Ints, part: Traffic) -> World:
        """What all but `members` show of the nodes of `part`, the traffic of members."""
        own = self.traffic
        beyond = [
            scorer.beyond(members, translated(layer, whole))
            for scorer, layer, whole in (
                (self.identity, part.identity, own.identity),
                (self.egress, part.egress, own.egress),
                (self.prompt, part.prompt, own.prompt),
                (self.client, part.client, own.client),
            )
        ]
        return World(
            (beyond[0], beyond[1], beyond[2], beyond[3]),
            own.accounts - len(members),
            self._rate_middle,
            self._rate_spread,
            self._hours_of_all,
        )

    def profiles(self, members: Ints) -> Profiles:
        """The cluster of these accounts in each layer."""
        return Profiles(
            members,
            self.identity.profile(members),
            self.egress.profile(members),
            self.prompt.profile(members),
            self.client.profile(members),
        )

    def near(self, profiles: Profiles) -> Ints:
        """The members, and every account that shares with several of them what is rare."""
        out = np.zeros(self.traffic.accounts, np.bool_)
        out[profiles.members] = True
        size = len(profiles.members)
        self.identity.near(profiles.identity, size, out)
        self.egress.near(profiles.egress, size, out)
        self.prompt.near(profiles.prompt, size, out)
        found: Ints = np.flatnonzero(out & self._known)
        return found

    def evidence(self, profiles: Profiles, accounts: Ints, most: int = 1 << 40) -> Evidence:
        """Weigh accounts against a cluster, by their first `most` exchanges."""
        limits, members = self.parameters, profiles.members
        member = np.zeros(self.traffic.accounts, np.bool_)
        member[members] = True
        wide = [
            np.maximum(scorer.weighed(profile, accounts, member, most), floor)
            for scorer, profile, floor in (
                (self.egress, profiles.egress, limits.egress_floor),
                (self.prompt, profiles.prompt, limits.floor),
            )
        ]
        egress, prompt = (np.minimum(one, limits.cap) for one in wide)
        client = self.client.weighed(profiles.client, accounts, member, most)
        client = np.clip(client, -limits.client_cap, limits.client_cap)
        identity = self._identity(profiles, accounts, member)
        rate, hours = self._rates(members, accounts), self._hours(members, accounts)
        strength = identity + client + rate + hours + wide[0] + wide[1]
        work = wide[1] if self.prompts_shown else wide[0]
        return Evidence(identity, egress, prompt, client, rate, hours, strength, work)

    def _identity(self, profiles: Profiles, accounts: Ints, member: Mask) -> Floats:
        """The best token that an account shares with other members, by its rarity outside.

        A token of one's own says nothing: most members of a pool have one.
        """
        profile, layer = profiles.identity, self.traffic.identity
        size = len(profiles.members)
        outside = max(self._accounts - size, 1)
        ratio = np.log((profile.accounts / max(size, 1)) / ((profile.outside + 1) / outside))
        table, owners = np.zeros(len(layer.degree)), np.zeros(len(layer.degree), np.int64)
        table[profile.nodes] = np.clip(ratio, 0.0, self.parameters.cap)
        owners[profile.nodes] = profile.accounts
        sizes = layer.starts[accounts + 1] - layer.starts[accounts]
        begin = np.r_[0, np.cumsum(sizes)]
        at = np.repeat(layer.starts[accounts] - begin[:-1], sizes) + np.arange(begin[-1])
        owner = np.repeat(np.arange(len(accounts)), sizes)
        nodes = layer.nodes[at]
        others = owners[nodes] > member[accounts][owner]
        out = np.zeros(len(accounts))
        np.maximum.at(out, owner[others], table[nodes[others]])
        return out

    def _rates(self, members: Ints, accounts: Ints) -> Floats:
        """Load as even as the cluster's is a mark of it; another load speaks against it."""
        rates = self._log_rate[members]
        middle, wide = float(np.median(rates)), max(spread(rates), _LEAST_SPREAD)
        x = self._log_rate[accounts]
        # An account of few exchanges has a rate that chance blurs.
        noise = 1.0 / np.maximum(self.traffic.events[accounts], 1)
        ours, theirs = wide**2 + noise, self._rate_spread**2 + noise
        ratio = (
            -((x - middle) ** 2) / (2 * ours)
            + (x - self._rate_middle) ** 2 / (2 * theirs)
            + 0.5 * np.log(theirs / ours)
        )
        cap = self.parameters.rate_cap
        found: Floats = np.clip(ratio, -cap, cap)
        return found

    def _hours(self, members: Ints, accounts: Ints) -> Floats:
        table = self.traffic.hours
        ours = (table[members].sum(0) + 0.5) / (len(members) + 12)
        weight = np.minimum(self.traffic.events[accounts], _HOUR_WEIGHT)
        ratio = (table[accounts] @ np.log(ours / self._hours_of_all)) * weight
        cap = self.parameters.hour_cap
        found: Floats = np.clip(ratio, -cap, cap)
        return found


def spread(values: Floats) -> float:
    """A standard deviation that a quarter of strays do not move."""
    if len(values) < 2:
        return 0.0
    low, high = np.percentile(values, [25, 75])
    return float(high - low) / 1.349


def evenness(traffic: Traffic, members: Ints) -> float:
    """Spread of the log of daily exchanges over accounts, without the noise of small counts.

    Returns:
        9 where fewer than three accounts have exchanges enough to tell.
    """
    enough = members[traffic.events[members] >= 4]
    if len(enough) < 3:
        return 9.0
    rates = np.log(np.maximum(traffic.rate[enough], _LEAST_RATE))
    noise = float(np.median(1.0 / traffic.events[enough]))
    return float(np.sqrt(max(spread(rates) ** 2 - noise, 0.0)))
