"""Accounts as columns of numbers: who they are, when and where they work, and what they ask."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.hydra.places import NONE
from tests.hydra.prompts import Template

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

OWN: Final = 6
"""Templates that one account can have of its own."""
PEOPLE, OFFICE, NIGHT, ALWAYS = range(4)
"""Clocks: evenings and weekends too; working hours; a nightly job; round the clock."""


@dataclass
class Roster:
    """N accounts, one row each.

    Args:
        kind: row of `KINDS` in `tests.hydra.world`.
        cluster: planted cluster, -1 for honest accounts.
        start, stop: days from the log's first, between which the account works.
        signup: day of sign-up, negative before the log.
        active: chance to be active on a working day; `weekend` multiplies it on days off.
        rate: mean exchanges on an active day; `even` how far its days stray
            from it as a share, -1 for the way of people.
        clock, zone: when in the day, and hours east of UTC.
        home, office, mobile, vpn: places, -1 for none; see `tests.hydra.places`.
        mobile_share, vpn_share: share of sessions there.
        per_request: whether a pool's address changes with every request.
        stack, second: numbers of client programs.
        own: numbers of templates, -1 for none; `own_share` of exchanges use one of them.
        public_share, turn_share: exchanges with a popular template, and short turns.
        payment, device, org: numbers, -1 for none; `domain`: of the e-mail, `style` of its name.
        pivot: day from which the newest model is used.
    """

    kind: Ints
    cluster: Ints
    start: Floats
    stop: Floats
    signup: Floats
    active: Floats
    weekend: Floats
    rate: Floats
    even: Floats
    clock: Ints
    zone: Floats
    home: Ints
    office: Ints
    mobile: Ints
    vpn: Ints
    mobile_share: Floats
    vpn_share: Floats
    per_request: Ints
    stack: Ints
    second: Ints
    own: Ints
    own_share: Floats
    public_share: Floats
    turn_share: Floats
    payment: Ints
    device: Ints
    org: Ints
    domain: Ints
    style: Ints
    pivot: Floats

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, rows: Ints) -> Roster:
        """These accounts, in this order."""
        return Roster(*(getattr(self, column.name)[rows] for column in fields(self)))


def joined(rosters: list[Roster]) -> Roster:
    """All the accounts, one after another."""
    return Roster(
        *(
            np.concatenate([getattr(roster, column.name) for roster in rosters])
            for column in fields(Roster)
        )
    )


@dataclass
class Numbers:
    """Counters that keep identities apart between populations."""

    payment: int = 0
    device: int = 0
    org: int = 0
    templates: list[Template] = field(default_factory=list)
    public: int = 0
    """How many of the templates, the first ones, are popular ones."""

    def payments(self, count: int) -> Ints:
        """Cards of their own."""
        self.payment += count
        return np.arange(self.payment - count, self.payment)

    def devices(self, count: int) -> Ints:
        """Devices of their own."""
        self.device += count
        return np.arange(self.device - count, self.device)

    def orgs(self, count: int) -> Ints:
        """Organisations of their own."""
        self.org += count
        return np.arange(self.org - count, self.org)

    def add(self, template: Template) -> int:
        """A template's number."""
        self.templates.append(template)
        return len(self.templates) - 1


def plain(
    rng: np.random.Generator, numbers: Numbers, kind: int, count: int, days: int, tail: float
) -> Roster:
    """Private users as they are before a population gives them places and habits.

    Most ask little, a few ask much (log-normal); half pay, each with a card of their own.
    """
    old = rng.random(count) < 0.85
    signup = np.where(old, -rng.gamma(1.5, 200, count), rng.uniform(-10, days, count))
    devices, payments = numbers.devices(count), numbers.payments(count)
    return Roster(
        kind=np.full(count, kind),
        cluster=np.full(count, -1),
        start=np.maximum(signup, 0),
        stop=np.full(count, float(days)),
        signup=signup,
        active=rng.beta(1.1, 2.2, count),
        weekend=rng.uniform(0.5, 1.2, count),
        rate=np.minimum(rng.lognormal(0.9, tail, count), 400),
        even=np.full(count, -1.0),
        clock=np.full(count, PEOPLE),
        zone=rng.choice([-8.0, -5.0, -3.0, 0.0, 1.0, 2.0, 3.0, 5.5, 8.0, 9.0, 10.0], count),
        home=np.full(count, NONE),
        office=np.full(count, NONE),
        mobile=np.full(count, NONE),
        vpn=np.full(count, NONE),
        mobile_share=np.zeros(count),
        vpn_share=np.zeros(count),
        per_request=np.zeros(count, np.int64),
        stack=np.minimum(rng.zipf(1.4, count) - 1, 23),
        second=np.minimum(rng.zipf(1.4, count) - 1, 23),
        own=np.full((count, OWN), -1),
        own_share=np.zeros(count),
        public_share=np.zeros(count),
        turn_share=np.full(count, 0.08),
        payment=np.where(rng.random(count) < 0.5, payments, -1),
        device=np.where(rng.random(count) < 0.9, devices, -1),
        org=numbers.orgs(count),
        domain=np.minimum(rng.zipf(1.5, count) - 1, 19),
        style=rng.integers(0, 5, count),
        pivot=rng.uniform(0, 4, count) * days / 2,
    )
