"""What is planted: the lab's rows, the provider's customers and every exchange.

A row and an exchange are tied by *facts*, short invented names such as `pay:lantern-1` or
`egress:lantern-v4`. The truth is the set of rows whose facts an exchange carries and whose time
holds; no indicator, token or hash takes part in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

LANTERN: Final = "HYDRA-LANTERN"
COPPER: Final = "HYDRA-COPPER"

START: Final = datetime(2026, 11, 10, tzinfo=UTC)
END: Final = START + timedelta(days=2)

LITELLM: Final = "gateway-litellm.jsonl"
OTEL: Final = "gateway-otel.jsonl"
NGINX: Final = "edge-nginx.log"


def at(text: str) -> datetime:
    """A UTC time from `2026-11-10` or `2026-11-10T06:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """One line of a file of the lab.

    Args:
        place: `file:line`, the header being line 1.
        facts: an exchange that carries any of them is described by this row.
        valid_from, valid_until: when the row holds; `valid_until` None = long after the story.
    """

    place: str
    campaign: str
    facts: frozenset[str]
    valid_from: datetime
    valid_until: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether the row is valid at a time; the end is not part of it."""
        return self.valid_from <= moment and (self.valid_until is None or moment < self.valid_until)


@dataclass(frozen=True)
class Customer:
    """One line of the provider's customer table, and the facts that its values stand for."""

    account_id: str
    email: str
    phone: str
    payment: str
    device: str
    name: str
    org: str
    signup_time: datetime
    facts: frozenset[str] = frozenset()
    near: tuple[tuple[str, str], ...] = ()
    cluster: str | None = None


@dataclass(frozen=True)
class Near:
    """Why an exchange must not match a row although it looks like it."""

    row: str
    reason: str


@dataclass
class Exchange:
    """One request at the provider's gateway.

    Args:
        address: the client address as the log spells it.
        facts: of the address and the prompt; those of the customer are added by the truth.
        event_id: given by the writer of the log.
    """

    moment: datetime
    source: str
    customer: Customer
    address: str
    user_agent: str
    prompt: str | None = None
    facts: frozenset[str] = frozenset()
    near: list[Near] = field(default_factory=list)
    event_id: str = ""

    def rows(self, rows: list[Row]) -> list[str]:
        """The places of the lab's rows that describe this exchange."""
        carried = self.facts | self.customer.facts
        return [row.place for row in rows if row.facts & carried and row.holds(self.moment)]
