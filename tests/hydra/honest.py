"""Honest accounts, and all the innocent reasons for which strangers look like one customer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from tests.hydra.places import NONE, Places
from tests.hydra.prompts import make_template
from tests.hydra.roster import ALWAYS, NIGHT, OFFICE, OWN, Ints, Numbers, Roster, joined, plain
from tests.hydra.scenario import Scenario

KINDS: Final = (
    "person",
    "vpn user",
    "editor plug-in user",
    "family",
    "campus",
    "course",
    "company",
    "large company",
    "account-sharing friends",
    "shared computers",
    "hackathon",
    "evaluation pipeline",
    "batch job",
    "white-label end user",
    "reseller's client",
    "hydra",
)
"""What an account is; all but the last are honest."""


@dataclass
class Setting:
    """What every population draws from."""

    rng: np.random.Generator
    scenario: Scenario
    numbers: Numbers
    places: Places

    def plain(self, kind: str, count: int) -> Roster:
        """Private users of a kind, without places."""
        return plain(
            self.rng, self.numbers, KINDS.index(kind), count, self.scenario.days, self.scenario.tail
        )

    def at_home(self, kind: str, count: int) -> Roster:
        """Private users with a line at home; most also on a carrier's shared addresses."""
        rng, people = self.rng, self.plain(kind, count)
        people.home = self.places.lines(count)
        carrier = np.array(self.places.carriers)[rng.integers(0, 2, count)]
        people.mobile = np.where(rng.random(count) < 0.65, carrier, NONE)
        people.mobile_share = rng.beta(1.2, 3, count)
        people.public_share = np.minimum(rng.beta(0.8, 3.2, count) * self.scenario.public / 0.2, 1)
        works = rng.random(count) < 0.3
        offices = self.places.lines(max(1, count // 12))
        people.office = np.where(works, offices[rng.integers(0, len(offices), count)], NONE)
        return people

    def grouped(self, low: int, high: int, total: int) -> Ints:
        """Numbers of groups of `low` to `high` members, `total` in all."""
        sizes = self.rng.integers(low, high + 1, total)
        return np.repeat(np.arange(total), sizes)[:total]


def populate(setting: Setting) -> Roster:
    """All honest accounts of a world."""
    return joined([roster for make in _POPULATIONS for roster in make(setting) if len(roster)])


def _persons(setting: Setting) -> Iterator[Roster]:
    rng, scenario = setting.rng, setting.scenario
    on_vpn = round(scenario.people * scenario.behind_vpn)
    plugged = round(scenario.people * 0.06)
    people = setting.at_home("person", scenario.people - on_vpn - plugged)
    fans = rng.random(len(people)) < scenario.favourite
    people.own[fans] = 0
    people.own_share[fans] = rng.uniform(0.05, 0.4, int(fans.sum()))
    yield people
    hidden = setting.at_home("vpn user", on_vpn)
    hidden.vpn = np.full(on_vpn, setting.places.vpn)
    hidden.vpn_share = rng.uniform(0.3, 1.0, on_vpn)
    yield hidden
    yield _plugged(setting, plugged)


def _plugged(setting: Setting, count: int) -> Roster:
    """Heavy users of one editor plug-in: its wording and its client, hundreds of exchanges."""
    rng = setting.rng
    wrappers = [setting.numbers.add(make_template(rng, rules=3, asks=(1, 5))) for _ in range(3)]
    users = setting.at_home("editor plug-in user", count)
    users.own[:] = np.array(wrappers * 2)[:OWN]
    users.own_share = rng.uniform(0.6, 1.0, count)
    users.rate = np.minimum(rng.lognormal(2.9, 0.9, count), 600)
    users.active = rng.beta(3, 2, count)
    users.stack[:] = 24
    users.clock[:] = OFFICE
    return users


def _families(setting: Setting) -> Iterator[Roster]:
    """Two to five people with one card and one line, at times one computer."""
    count = max(4, setting.scenario.people // 30)
    group = setting.grouped(2, 5, count)
    family = setting.at_home("family", count)
    family.payment = setting.numbers.payments(int(group[-1]) + 1)[group]
    family.home = setting.places.lines(int(group[-1]) + 1)[group]
    devices = setting.numbers.devices(int(group[-1]) + 1)[group]
    family.device = np.where(setting.rng.random(count) < 0.4, devices, family.device)
    yield family


def _campuses(setting: Setting) -> Iterator[Roster]:
    """Four addresses for hundreds of students; one course has an assignment with fixed words."""
    rng, days = setting.rng, setting.scenario.days
    for _ in range(max(1, setting.scenario.people // 4000)):
        count = min(400, max(40, setting.scenario.people // 14))
        students = setting.at_home("campus", count)
        gate = setting.places.pool(setting.places.lines(4))
        students.home = np.where(rng.random(count) < 0.6, gate, students.home)
        students.office = np.full(count, gate)
        students.zone[:] = float(rng.integers(-8, 10))
        course = np.arange(count) < min(80, count // 3)
        students.kind[course] = KINDS.index("course")
        tasks = [setting.numbers.add(make_template(rng, rules=4, asks=(0, 1))) for _ in range(2)]
        students.own[course, :] = np.array(tasks * 3)[:OWN]
        students.own_share[course] = rng.uniform(0.4, 0.95, int(course.sum()))
        begun = float(rng.uniform(1, days / 2))
        new = course & (rng.random(count) < 0.6)
        students.signup[new] = begun + rng.exponential(0.05, int(new.sum()))
        students.start = np.maximum(students.signup, 0)
        students.rate[course] = rng.lognormal(1.8, 0.8, int(course.sum()))
        students.active[course] = rng.beta(4, 2, int(course.sum()))
        students.stop[course] = np.minimum(days, begun + 7)
        late = students.stop <= students.start
        students.start[late] = students.stop[late] - 1
        yield students


def _companies(setting: Setting) -> Iterator[Roster]:
    """One card, one gate, one mail domain, and wording that is passed around."""
    people = setting.scenario.people
    sizes = [300] if people >= 4000 else [max(30, people // 15)]
    sizes += [int(setting.rng.integers(8, 60)) for _ in range(max(2, people // 800))]
    for number, size in enumerate(sizes):
        rng = setting.rng
        staff = setting.at_home("large company" if number == 0 else "company", size)
        staff.payment[:] = setting.numbers.payments(1)
        gate = setting.places.pool(setting.places.lines(2))
        staff.office[:] = gate
        staff.clock[:] = OFFICE
        staff.zone = staff.zone[0] + rng.choice([0.0, 0.0, 0.0, 1.0], size)
        staff.weekend = rng.uniform(0.0, 0.3, size)
        staff.active = rng.beta(2, 2, size)
        staff.domain[:] = 100 + number
        staff.style[:] = 0
        if number % 2 == 0:
            staff.org[:] = setting.numbers.orgs(1)
        house = [setting.numbers.add(make_template(rng, rules=3)) for _ in range(3)]
        staff.own[:] = np.array(house * 2)[:OWN]
        staff.own_share = np.where(rng.random(size) < 0.4, rng.uniform(0.2, 0.8, size), 0.0)
        yield staff


def _friends(setting: Setting) -> Iterator[Roster]:
    """Three to five friends on one card, each at home, at times one machine for all."""
    count = max(6, setting.scenario.people // 120)
    group = setting.grouped(3, 5, count)
    friends = setting.at_home("account-sharing friends", count)
    friends.payment = setting.numbers.payments(int(group[-1]) + 1)[group]
    friends.rate = np.minimum(friends.rate * 4, 400)
    friends.vpn = np.where(group % 2 == 0, setting.places.vpn, NONE)
    friends.vpn_share[:] = 0.3
    yield friends


def _shared_computers(setting: Setting) -> Iterator[Roster]:
    """A library's and a laboratory's machines: one device, one address, dozens of people."""
    for _ in range(2):
        count = min(40, max(8, setting.scenario.people // 150))
        readers = setting.at_home("shared computers", count)
        readers.device[:] = setting.numbers.devices(1)
        readers.office[:] = setting.places.lines(1)
        readers.home = np.where(setting.rng.random(count) < 0.5, readers.office, readers.home)
        readers.stack[:] = readers.stack[0]
        yield readers


def _hackathons(setting: Setting) -> Iterator[Roster]:
    """Sign-ups of one morning, one venue, a starter prompt, two days of heavy use."""
    count = min(150, max(15, setting.scenario.people // 60))
    rng, days = setting.rng, setting.scenario.days
    begun = float(rng.uniform(1, max(2, days - 3)))
    crowd = setting.at_home("hackathon", count)
    crowd.home[:] = setting.places.pool(setting.places.lines(2))
    crowd.signup = begun + rng.exponential(0.08, count)
    crowd.start, crowd.stop = crowd.signup.copy(), np.minimum(crowd.signup + 2, days)
    crowd.active[:] = 1
    crowd.weekend[:] = 1
    crowd.rate = rng.lognormal(3.4, 0.7, count)
    starter = setting.numbers.add(make_template(rng, rules=4))
    crowd.own[:] = starter
    crowd.own_share = rng.uniform(0.0, 0.6, count)
    crowd.payment[:] = -1
    yield crowd


def _evaluations(setting: Setting) -> Iterator[Roster]:
    """Benchmarks of a laboratory: few accounts, thousands of exchanges, one template, even load."""
    for _ in range(3):
        rng, count = setting.rng, int(setting.rng.integers(1, 5))
        runs = setting.plain("evaluation pipeline", count)
        runs.home[:] = setting.places.pool(setting.places.block(2))
        runs.payment[:] = setting.numbers.payments(1)
        runs.org[:] = setting.numbers.orgs(1)
        runs.device[:] = -1
        runs.domain[:] = 200 + int(rng.integers(0, 50))
        runs.clock[:] = ALWAYS
        runs.active[:] = rng.uniform(0.4, 1)
        runs.rate[:] = rng.uniform(200, 1200)
        runs.even[:] = 0.12
        runs.stack[:] = runs.second[:] = 25
        runs.own[:] = setting.numbers.add(make_template(rng, rules=3, asks=(1, 4)))
        runs.own_share[:] = 1.0
        yield runs


def _batches(setting: Setting) -> Iterator[Roster]:
    """Nightly jobs, each with wording of its own, behind a serverless platform's few addresses."""
    rng, count = setting.rng, max(6, setting.scenario.people // 150)
    jobs = setting.plain("batch job", count)
    gate = setting.places.pool(setting.places.block(5))
    own = setting.places.block(count)
    jobs.home = np.where(rng.random(count) < 0.5, gate, own)
    jobs.clock[:] = NIGHT
    jobs.active[:] = 0.9
    jobs.weekend[:] = 1
    jobs.rate = np.minimum(rng.lognormal(4.5, 1.0, count), 1500)
    jobs.even[:] = 0.12
    jobs.stack = jobs.second = rng.choice([25, 26, 27], count)
    for row in range(count):
        jobs.own[row, :] = setting.numbers.add(make_template(rng, rules=3, asks=(1, 4)))
    jobs.own_share[:] = rng.uniform(0.8, 1.0, count)
    jobs.device[:] = -1
    yield jobs


def _products(setting: Setting) -> Iterator[Roster]:
    """White-label products: each end user an account; one backend, wrapper and organisation."""
    for number in range(2):
        rng, count = setting.rng, max(20, setting.scenario.people // 40)
        users = setting.plain("white-label end user", count)
        users.home[:] = setting.places.pool(setting.places.block(3))
        users.org[:] = setting.numbers.orgs(1)
        users.payment[:] = -1 if number else setting.numbers.payments(1)
        users.device[:] = -1
        users.stack[:] = users.second[:] = 25 + number
        wrapper = setting.numbers.add(make_template(rng, rules=5))
        users.own[:] = wrapper
        users.own_share = rng.uniform(0.85, 1.0, count)
        yield users


def _resellers(setting: Setting) -> Iterator[Roster]:
    """One card for the clients of an honest reseller, who sit in offices of their own."""
    rng, count = setting.rng, min(150, max(15, setting.scenario.people // 70))
    clients = setting.at_home("reseller's client", count)
    clients.payment[:] = setting.numbers.payments(1)
    clients.org[:] = setting.numbers.orgs(1)
    clients.clock[:] = OFFICE
    clients.weekend = rng.uniform(0, 0.4, count)
    clients.active = rng.beta(2, 2, count)
    clients.domain = 300 + rng.integers(0, max(1, count // 3), count)
    tips = [setting.numbers.add(make_template(rng, rules=3)) for _ in range(2)]
    clients.own[:] = np.array(tips * 3)[:OWN]
    clients.own_share = rng.uniform(0, 0.4, count)
    yield clients


_POPULATIONS: Final[tuple[Callable[[Setting], Iterator[Roster]], ...]] = (
    _persons,
    _families,
    _campuses,
    _companies,
    _friends,
    _shared_computers,
    _hackathons,
    _evaluations,
    _batches,
    _products,
    _resellers,
)
