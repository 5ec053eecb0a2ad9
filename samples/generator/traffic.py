"""Every exchange of the story: the planted cluster, honest traffic and traffic that looks alike."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from generator import story
from generator.lab import PROMPTS, PROXIES
from generator.plan import END, LANTERN, LITELLM, NGINX, OTEL, START, Customer, Exchange, Near, at

PER_DAY: Final = ((NGINX, 20), (LITELLM, 3), (OTEL, 3))
"""26 exchanges a day for each planted account, most of them seen by the edge alone."""

_AGENTS: Final = ("OpenAI/Python 1.99.0", "anthropic-sdk/0.60", "curl/8.10.1", "node-fetch/3.3.2")
_HYDRA_AGENT: Final = "relay-pool/4.2"


@dataclass(frozen=True)
class Address:
    """A client address as the log spells it, and the facts that it carries."""

    text: str
    facts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Said:
    """A prompt and the facts that it carries."""

    text: str
    facts: frozenset[str] = frozenset()


class Traffic:
    """Draws addresses, prompts and times, and keeps the exchanges as they are made."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.exchanges: list[Exchange] = []

    def add(
        self,
        moment: datetime,
        source: str,
        customer: Customer,
        address: Address,
        said: Said,
        *,
        agent: str | None = None,
        near: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Add one exchange; the edge's log has whole seconds and no prompts."""
        edge = source == NGINX
        self.exchanges.append(
            Exchange(
                moment=moment.replace(microsecond=0 if edge else moment.microsecond // 1000 * 1000),
                source=source,
                customer=customer,
                address=address.text,
                user_agent=agent or self.rng.choice(_AGENTS),
                prompt=None if edge else said.text,
                facts=address.facts if edge else address.facts | said.facts,
                near=[Near(row, reason) for row, reason in (*customer.near, *near)],
            )
        )

    def moment(self, first: datetime = START, last: datetime = END) -> datetime:
        """A random time from `first` to before `last`."""
        return first + timedelta(seconds=self.rng.uniform(1, (last - first).total_seconds() - 1))

    def spelled(self, text: str, *facts: str) -> Address:
        """The address, now and then in another of its spellings."""
        draw = self.rng.random()
        address = ipaddress.ip_address(text)
        if address.version == 4 and draw < 0.12:
            text = f"::ffff:{text}"
        elif address.version == 6 and draw < 0.3:
            text = address.exploded.upper()
        return Address(text, frozenset(facts))

    def honest_address(self) -> Address:
        """An address that no row of the lab covers."""
        draw = self.rng.random()
        if draw < 0.5:
            return self.spelled(f"192.0.2.{self.rng.randrange(1, 61)}")
        if draw < 0.8:
            return self.spelled(f"198.51.100.{self.rng.randrange(100, 191)}")
        return self.spelled(
            f"2001:db8:1000:{self.rng.randrange(64):x}::{self.rng.randrange(2, 999):x}"
        )

    def honest_prompt(self) -> Said:
        """An everyday request; now and then from a template that half the internet uses."""
        if self.rng.random() < 0.12:
            return Said(story.fill(story.PUBLIC_TEMPLATE, self.rng))
        return Said(story.fill(self.rng.choice(story.BENIGN), self.rng))


def _lantern_address(t: Traffic) -> Address:
    draw = t.rng.random()
    if draw < 0.72:
        return t.spelled(f"203.0.113.{t.rng.randrange(64, 96)}", "egress:lantern-v4")
    if draw < 0.84:
        low, host = t.rng.randrange(0xA00, 0xB00), t.rng.randrange(2, 0xFFFF)
        return t.spelled(f"2001:db8:4f:{low:x}::{host:x}", "egress:lantern-v6")
    if draw < 0.92:
        return t.spelled("198.51.100.2", "egress:lantern-relay")
    return t.spelled(f"203.0.113.{t.rng.randrange(150, 161)}")


def _copper_address(t: Traffic) -> Address:
    draw = t.rng.random()
    if draw < 0.55:
        return t.spelled(f"198.51.100.{t.rng.randrange(48, 64)}", "egress:copper-v4")
    if draw < 0.7:
        return t.spelled("203.0.113.9", "egress:copper-new")
    if draw < 0.8:
        return t.spelled("192.0.2.131", "egress:copper-old")
    if draw < 0.92:
        return t.spelled("2001:db8:c0:ffee::17", "egress:copper-v6")
    return t.spelled(f"203.0.113.{t.rng.randrange(161, 171)}")


def _lantern_prompt(t: Traffic) -> Said:
    draw = t.rng.random()
    if draw < 0.45:
        text = story.respelled(story.fill(story.LANTERN_TEMPLATE, t.rng), t.rng)
        return Said(text, frozenset({"prompt:lantern", "prompt:lantern-exact"}))
    if draw < 0.7:
        filled = story.fill(story.LANTERN_TEMPLATE, t.rng)
        text = story.swapped(filled, story.LANTERN_SWAPS, t.rng.randrange(1, 3))
        return Said(text, frozenset({"prompt:lantern"}))
    if draw < 0.85:
        return Said(story.with_literal(t.rng), frozenset({"prompt:literal"}))
    return t.honest_prompt()


def _copper_prompt(t: Traffic) -> Said:
    draw = t.rng.random()
    filled = story.fill(story.COPPER_TEMPLATE, t.rng)
    if draw < 0.3:
        return Said(filled, frozenset({"prompt:copper"}))
    if draw < 0.5:
        text = story.swapped(filled, story.COPPER_SWAPS, t.rng.randrange(1, 3))
        return Said(text, frozenset({"prompt:copper"}))
    if draw < 0.7:
        return Said(story.rubric(t.rng), frozenset({"prompt:rubric"}))
    if draw < 0.85:
        text = story.respelled(story.fill(story.NORMAL_TEMPLATE, t.rng), t.rng)
        return Said(text, frozenset({"prompt:normal"}))
    return t.honest_prompt()


def planted(t: Traffic, customers: list[Customer]) -> None:
    """The cluster: an even load over all accounts, through shared egress, all day."""
    for customer in customers:
        lantern = customer.cluster == LANTERN
        address = _lantern_address if lantern else _copper_address
        said = _lantern_prompt if lantern else _copper_prompt
        day = START
        while day < END:
            for source, count in PER_DAY:
                for _ in range(count):
                    moment = t.moment(day, day + timedelta(days=1))
                    agent = _HYDRA_AGENT if t.rng.random() < 0.5 else None
                    t.add(moment, source, customer, address(t), said(t), agent=agent)
            day += timedelta(days=1)


def honest(t: Traffic, customers: list[Customer]) -> None:
    """Honest customers: a few exchanges each, unevenly spread; some through a mixing proxy."""
    for n, customer in enumerate(customers):
        for source, most in ((NGINX, 5), (LITELLM, 2), (OTEL, 2)):
            for _ in range(t.rng.randrange(most + 1)):
                t.add(t.moment(), source, customer, t.honest_address(), t.honest_prompt())
        if n % 60 == 7:
            # A reseller's honest users leave by the same egress: a true network match.
            address = t.spelled(f"203.0.113.{t.rng.randrange(64, 96)}", "egress:lantern-v4")
            t.add(t.moment(), LITELLM, customer, address, t.honest_prompt())
        if n % 50 == 11:
            # The lab listed this shared office by mistake.
            office = t.spelled("192.0.2.77", "egress:office")
            t.add(t.moment(), (LITELLM, OTEL, NGINX)[n % 3], customer, office, t.honest_prompt())


_JUST_OUTSIDE: Final = (
    ("203.0.113.63", 2, "one below the range"),
    ("203.0.113.96", 2, "one above the range"),
    ("2001:db8:4f:9ff:ffff:ffff:ffff:ffff", 3, "one below the range"),
    ("2001:db8:4f:b00::", 3, "one above the range"),
    ("198.51.100.20", 4, "the listed address is a prefix of its text"),
    ("198.51.100.25", 4, "the listed address is a prefix of its text"),
    ("198.51.100.200", 4, "the listed address is a prefix of its text"),
    ("198.51.100.47", 5, "one below the range"),
    ("198.51.100.64", 5, "one above the range"),
    ("203.0.113.99", 6, "the listed address is a prefix of its text"),
    ("2001:db8:c0:ffee::170", 8, "the listed address is a prefix of its text"),
    ("2001:db8:c0:ffee::1:7", 8, "the same digits, other groups"),
    ("192.0.2.7", 9, "its text is a prefix of the listed address"),
)


def outside(t: Traffic, customers: list[Customer]) -> None:
    """Honest exchanges from addresses beside those that the lab lists."""
    for text, line, reason in _JUST_OUTSIDE:
        for source in (NGINX, LITELLM, OTEL):
            address = t.spelled(text)
            near = ((f"{PROXIES}:{line}", reason),)
            t.add(t.moment(), source, _one(t, customers), address, t.honest_prompt(), near=near)
    near = ((f"{PROXIES}:4", "the address stands in the user agent only"),)
    for source in (NGINX, LITELLM, OTEL):
        customer, agent = _one(t, customers), "probe/1.0 (+198.51.100.2)"
        t.add(
            t.moment(),
            source,
            customer,
            t.honest_address(),
            t.honest_prompt(),
            agent=agent,
            near=near,
        )


def similar_prompts(t: Traffic, customers: list[Customer]) -> None:
    """Honest prompts that share words or topics with those that the lab lists."""
    makers: tuple[tuple[Callable[[], str], int, str], ...] = (
        (lambda: story.fill(story.SAME_TOPIC, t.rng), 1, "same topic in other words"),
        (lambda: story.fill(story.SAME_TOPIC, t.rng), 2, "same topic, other template"),
        (
            lambda: story.with_literal(t.rng, story.LITERAL_REORDERED),
            4,
            "the literal's words in another order",
        ),
        (lambda: story.rubric_too_far(t.rng), 5, "the words are too far apart"),
        (
            lambda: story.fill(story.NORMAL_TEMPLATE, t.rng) + " Thank you.",
            6,
            "two words more than the listed prompt",
        ),
        (lambda: story.fill(story.PUBLIC_TEMPLATE, t.rng), 1, "a popular public template"),
    )
    for make, line, reason in makers:
        for source in (LITELLM, OTEL) * 3:
            near = ((f"{PROMPTS}:{line}", reason),)
            t.add(
                t.moment(), source, _one(t, customers), t.honest_address(), Said(make()), near=near
            )


def alike(t: Traffic, customers: list[Customer]) -> None:
    """Customers whose identifiers resemble a listed one, three exchanges each."""
    for customer in customers:
        for source in (NGINX, LITELLM, OTEL):
            t.add(t.moment(), source, customer, t.honest_address(), t.honest_prompt())


def boundaries(t: Traffic, customers: list[Customer]) -> None:
    """Exchanges seconds before and after a row begins or ends to hold."""
    edges = (
        ("203.0.113.9", "egress:copper-new", at("2026-11-11")),
        ("192.0.2.131", "egress:copper-old", at("2026-11-10T12:00")),
    )
    for text, fact, edge in edges:
        for source in (NGINX, LITELLM, OTEL):
            for seconds in (-2, 2):
                moment = edge + timedelta(seconds=seconds)
                address = Address(text, frozenset({fact}))
                t.add(moment, source, _one(t, customers), address, t.honest_prompt())


def _one(t: Traffic, customers: list[Customer]) -> Customer:
    return t.rng.choice(customers)
