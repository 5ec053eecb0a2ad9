"""What a world is made of: how many people of which kind, and how well the clusters hide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Level:
    """How one kind of cluster behaves.

    Args:
        name: what the table calls it.
        rate: exchanges per account and day.
        unevenness: how far a day's number strays from the rate, as a share of it.
        sizes: accounts that are alive at once, the smallest and the largest cluster.
        mix: share of exchanges that are honest-looking text.
        proxies, exits, homes: weights of private proxies, VPN exits and residential lines among
            the addresses; each account draws from one of the three.
        carded: share of accounts whose card is on 3 to 10 of the cluster's accounts.
        shared_device: share of accounts whose device is on 2 to 6 of them.
        templates: how many the cluster rotates, at least and at most.
        rules: instructions in a template, at least and at most: fewer leave more to the question.
        asks: sentences of the question in a template, at least and at most.
        paraphrases: wordings of each template's side.
        banned: chance that an account is banned on a day, and replaced within hours.
        sleepless: share of clusters that work round the clock; the others keep people's hours.
        aged: share of accounts that were bought, and so signed up long before.
        per_request: whether the address changes with every request, not with every session.
    """

    name: str
    rate: float
    sizes: tuple[int, int] = (8, 150)
    mix: float = 0.3
    proxies: float = 0.5
    exits: float = 0.25
    homes: float = 0.25
    carded: float = 0.7
    shared_device: float = 0.3
    templates: tuple[int, int] = (3, 6)
    rules: tuple[int, int] = (2, 5)
    asks: tuple[int, int] = (1, 2)
    paraphrases: int = 3
    unevenness: float = 0.12
    banned: float = 0.04
    sleepless: float = 0.5
    aged: float = 0.2
    per_request: bool = False


LEVELS: Final = {
    level.name: level
    for level in (
        Level("200 a day", 200, sizes=(8, 60), paraphrases=1, templates=(2, 4), sleepless=1.0),
        Level("50 a day", 50, sizes=(8, 120)),
        Level("26 a day", 26, sizes=(8, 250), carded=0.6, sleepless=0.3),
        Level("10 a day", 10, sizes=(8, 400), carded=0.6, rules=(2, 4), asks=(1, 3), sleepless=0.0),
    )
}
"""The levels that detectors may be tuned on."""

UNSEEN: Final = Level(
    "unseen level: 15 a day",
    15,
    sizes=(8, 300),
    mix=0.5,
    proxies=0.0,
    exits=0.0,
    homes=1.0,
    carded=0.5,
    shared_device=0.0,
    templates=(4, 8),
    rules=(2, 4),
    asks=(1, 3),
    unevenness=0.2,
    sleepless=0.0,
    aged=0.3,
)
"""Half honest-looking text, residential lines alone, no shared device; for reports only."""


@dataclass(frozen=True)
class Scenario:
    """One world.

    Args:
        seed: everything is drawn from it.
        level: how the clusters behave.
        people: private users; every other honest population grows with them.
        days: how long the log runs.
        clusters: how many are planted.
        public: share of a person's exchanges that use a popular public template.
        favourite: share of persons who now and then use one and the same public template.
        six_share: fixed lines on IPv6.
        behind_vpn: share of persons who use the shared VPN exits.
        without: columns that the log or the customer table does not have.
        tail: how unequal honest people are (sigma of the log-normal of their rates).
        sizes: cluster sizes, instead of the level's range.
    """

    seed: int
    level: Level
    people: int = 5000
    days: int = 14
    clusters: int = 5
    public: float = 0.2
    favourite: float = 0.0
    six_share: float = 0.3
    behind_vpn: float = 0.06
    without: tuple[str, ...] = ()
    tail: float = 1.1
    sizes: tuple[int, ...] = ()
