"""Accounts at work: how often, when, from where, and with which wording."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.hydra.places import NONE, Places, resolve, with_hosts
from tests.hydra.prompts import FREE, TURN
from tests.hydra.roster import ALWAYS, OWN, Floats, Ints, Roster

DAY: Final = 86_400_000_000
"""Microseconds."""
_SESSIONS: Final = 8
# Relative weight of each local hour, by clock.
_HOURS: Final = np.array(
    [
        [3, 2, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 7, 8, 8, 8, 8, 8, 8, 9, 10, 10, 8, 5],
        [0, 0, 0, 0, 0, 0, 1, 3, 8, 10, 10, 9, 6, 9, 10, 9, 8, 5, 2, 1, 1, 1, 0, 0],
        [0, 4, 8, 8, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [1] * 24,
    ],
    dtype=np.float64,
)


def exchanges(rng: np.random.Generator, roster: Roster, days: int) -> tuple[Ints, Ints]:
    """Account and day of every exchange.

    An honest day's number is over-dispersed (a gamma mixture of Poisson); an even account's strays
    from its rate by `even` of it.
    """
    first = np.arange(days)
    free = (first % 7) >= 5
    chance = roster.active[:, None] * np.where(free, roster.weekend[:, None], 1)
    held = np.minimum(roster.stop[:, None], first + 1) - np.maximum(roster.start[:, None], first)
    mean = roster.rate[:, None] * np.clip(held, 0, 1) * (rng.random(chance.shape) < chance)
    loose = rng.poisson(mean * rng.gamma(2, 0.5, mean.shape))
    even = np.floor(
        mean * np.clip(rng.normal(1, np.maximum(roster.even, 0)[:, None], mean.shape), 0.5, 1.5)
        + rng.random(mean.shape)
    )
    counts = np.where(roster.even[:, None] >= 0, even, loose).astype(np.int64)
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    return cell // days, cell % days


def moments(
    rng: np.random.Generator, roster: Roster, places: Places, account: Ints, day: Ints, days: int
) -> tuple[Ints, Ints]:
    """Microseconds from the log's start, and the address, of every exchange.

    A day has one to eight sessions, more for those who ask more; each is at one place, and lasts
    some minutes except for accounts that work round the clock.
    """
    held = np.minimum(1 + rng.poisson(0.5 * np.sqrt(roster.rate)), _SESSIONS)[account]
    chosen = (rng.random(len(account)) * held).astype(np.int64)
    cell = (account * days + day) * _SESSIONS + chosen
    begin, choice, pick = rng.random((3, len(roster) * days * _SESSIONS))
    hour = _hours(roster.clock[account], begin[cell])
    since = np.maximum(roster.start[account], day)
    until = np.minimum(roster.stop[account], day + 1)
    spread = since + rng.random(len(account)) * np.maximum(until - since, 0)
    begun = day + (hour - roster.zone[account]) / 24 + rng.exponential(1 / 72, len(account))
    inside = (begun >= roster.start[account]) & (begun < roster.stop[account])
    moment = np.where((roster.clock[account] != ALWAYS) & inside, begun, spread)
    time = (np.clip(moment, 0, days - 1e-6) * DAY).astype(np.int64)
    place = _place(roster, account, (day % 7) < 5, hour, choice[cell])
    draws = np.where(roster.per_request[account] == 1, rng.random(len(account)), pick[cell])
    # An IPv6 line keeps its host part for a day, as privacy addresses do.
    hosts = account * 40_503 + day * 7919
    return time, with_hosts(resolve(places.pools, place, draws), hosts)


def wordings(rng: np.random.Generator, roster: Roster, account: Ints, public: int) -> Ints:
    """The template of every exchange; popular ones by Zipf's law.

    Args:
        public: how many of the templates, the first ones, are popular ones.
    """
    count = len(account)
    own = roster.own[account, rng.integers(0, OWN, count)]
    weights = 1 / np.arange(1, public + 1)
    popular = rng.choice(public, count, p=weights / weights.sum())
    draw = rng.random(count)
    edge = roster.own_share[account]
    kinds = np.where(draw < edge, own, FREE)
    edge, last = edge + roster.public_share[account] * (1 - edge), edge
    kinds = np.where((draw >= last) & (draw < edge), popular, kinds)
    edge, last = edge + roster.turn_share[account] * (1 - edge), edge
    return np.where((draw >= last) & (draw < edge), TURN, kinds)


def _hours(clock: Ints, draws: Floats) -> Floats:
    hour = np.empty(len(clock))
    for number, weights in enumerate(_HOURS):
        rows = np.flatnonzero(clock == number)
        edges = np.append(0, np.cumsum(weights)) / weights.sum()
        hour[rows] = np.interp(draws[rows], edges, np.arange(25))
    return hour


def _place(
    roster: Roster, account: Ints, working: NDArray[np.bool_], hour: Floats, choice: Floats
) -> Ints:
    """Where a session is: at work in working hours, else behind a VPN, on the move, or at home."""
    office, mobile = roster.office[account], roster.mobile[account]
    vpn_share, mobile_share = roster.vpn_share[account], roster.mobile_share[account]
    place = np.where((mobile != NONE) & (choice > 1 - mobile_share), mobile, roster.home[account])
    vpn = roster.vpn[account]
    place = np.where((vpn != NONE) & (choice < vpn_share), vpn, place)
    at_work = (office != NONE) & working & (hour >= 8) & (hour < 18) & (choice < 0.85)
    return np.where(at_work, office, place)
