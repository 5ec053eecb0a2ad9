"""Hydra clusters: many small accounts of one buyer, replaced as fast as they are banned."""

from __future__ import annotations

import numpy as np

from tests.hydra.honest import Setting
from tests.hydra.places import NONE
from tests.hydra.prompts import make_template
from tests.hydra.roster import ALWAYS, OWN, PEOPLE, Floats, Ints, Roster


def plant(setting: Setting, lines: Ints) -> list[Roster]:
    """The planted clusters of a world.

    Args:
        lines: honest people's lines at home, through which residential pools leave.
    """
    rng, scenario = setting.rng, setting.scenario
    low, high = scenario.level.sizes
    drawn = np.exp(rng.uniform(np.log(low), np.log(high + 1), scenario.clusters)).astype(int)
    sizes = scenario.sizes or tuple(int(size) for size in drawn)
    return [_cluster(setting, n, size, lines) for n, size in enumerate(sizes)]


def _cluster(setting: Setting, number: int, size: int, lines: Ints) -> Roster:
    rng, days, level = setting.rng, setting.scenario.days, setting.scenario.level
    begun = float(rng.uniform(0.5, days / 3))
    start, stop = _lives(rng, size, begun, days, level.banned)
    count = len(start)
    heads = setting.plain("hydra", count)
    heads.cluster[:] = number
    heads.start, heads.stop = start, stop
    # Accounts are opened by the dozen, hours before they are first used.
    heads.signup = np.minimum(start - 0.02, np.floor(start * 3) / 3 + rng.exponential(0.01, count))
    bought = rng.random(count) < level.aged
    heads.signup[bought] = -rng.uniform(20, 400, int(bought.sum()))
    heads.active[:] = 1
    heads.weekend[:] = 1
    heads.rate[:] = level.rate
    heads.even[:] = level.unevenness
    heads.clock[:] = ALWAYS if rng.random() < level.sleepless else PEOPLE
    heads.zone[:] = heads.zone[0]
    heads.public_share[:] = 0.2 * level.mix
    heads.turn_share[:] = 0.05 * level.mix
    heads.own_share[:] = 1 - level.mix
    wordings = [
        setting.numbers.add(
            make_template(
                rng,
                rules=int(rng.integers(level.rules[0], level.rules[1] + 1)),
                paraphrases=level.paraphrases,
                asks=level.asks,
            )
        )
        for _ in range(int(rng.integers(level.templates[0], level.templates[1] + 1)))
    ]
    heads.own = rng.choice(wordings, (count, OWN))
    heads.payment = _shared(rng, count, level.carded, (3, 10), setting.numbers.payments(count))
    heads.device = _shared(rng, count, level.shared_device, (2, 6), setting.numbers.devices(count))
    heads.home = _egress(setting, size, count, lines)
    heads.per_request[:] = int(level.per_request)
    common = int(rng.choice([25, 26, 27, 28 + number]))
    heads.stack[:] = heads.second[:] = common
    heads.domain = rng.choice([0, 1, 400 + 2 * number, 401 + 2 * number], count)
    heads.style[:] = int(rng.integers(0, 5))
    released = days * 0.6
    heads.pivot = released + rng.uniform(0, 1, count)
    return heads


def _lives(
    rng: np.random.Generator, size: int, begun: float, days: int, banned: float
) -> tuple[Floats, Floats]:
    """When each account starts and stops: `size` seats, each filled again after a ban."""
    starts, stops = [], []
    for ramp in rng.exponential(0.4, size):
        start = min(begun + float(ramp), days - 1.0)
        while start < days - 0.1:
            stop = min(start + float(rng.exponential(1 / max(banned, 1e-9))) + 0.2, float(days))
            starts.append(start)
            stops.append(stop)
            start = stop + float(rng.exponential(0.3))
    return np.array(starts), np.array(stops)


def _shared(
    rng: np.random.Generator, count: int, share: float, sizes: tuple[int, int], own: Ints
) -> Ints:
    """Identities of which a share is held by `sizes` accounts each; others have their own."""
    found = own.copy()
    sharing = rng.permutation(np.flatnonzero(rng.random(count) < share))
    first = 0
    while first < len(sharing):
        group = sharing[first : first + int(rng.integers(sizes[0], sizes[1] + 1))]
        found[group] = own[group[0]]
        first += len(group)
    return found


def _egress(setting: Setting, size: int, count: int, lines: Ints) -> Ints:
    """Each account leaves through private proxies, VPN exits, or other people's lines."""
    rng, level, places = setting.rng, setting.scenario.level, setting.places
    weights = np.array([level.proxies, level.exits, level.homes])
    proxies = places.block(max(2, size // 6)) if level.proxies else np.array([NONE])
    some = rng.choice(places.exits, min(len(places.exits), 8), replace=False)
    rented = rng.choice(lines, min(len(lines), max(20, size * 4)), replace=False)
    pools = np.array([places.pool(codes) for codes in (proxies, some, rented)])
    return pools[rng.choice(3, count, p=weights / weights.sum())]
