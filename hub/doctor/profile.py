"""What is known of a client, as data.

A `Client` is one program with one way of asking; a `Profile` is a product, which may hold several
(MISP reads with one program and pushes with another).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

TAXII_21: Final = "application/taxii+json;version=2.1"


class Basis(StrEnum):
    """How well a habit is known."""

    SOURCE = "source"
    """Read in the client's code."""
    DOCUMENTED = "documented"
    """Said by its makers, or seen by its users."""
    ASSUMED = "assumed"
    """The code is closed; the most common behaviour is taken."""


@dataclass(frozen=True, slots=True)
class Habit:
    """Something that a client does, and where to check it."""

    does: str
    source: str
    basis: Basis = Basis.SOURCE


class Auth(StrEnum):
    """How a client shows its credential."""

    BASIC = "Basic"
    LOWER_BASIC = "basic"
    """The stored value, after a scheme in lower case."""
    BEARER = "Bearer"
    TOKEN = "Token"
    HEADER = "header"
    """A header whose name the user chooses."""


class Step(StrEnum):
    """What a client asks for, in its order."""

    DISCOVERY = "discovery"
    API_ROOT = "api root"
    COLLECTIONS = "collections"
    COLLECTION = "collection"
    PULL = "pull"
    LIBRARY = "library"
    """The real taxii2-client reads the collection."""
    WRITE = "write"


class GoesOn(StrEnum):
    """What makes a client ask for another page."""

    MORE = "more"
    NEXT = "next"
    BOTH = "more and next"


class Without(StrEnum):
    """What a client does when `more` is true and `next` is missing."""

    STOPS = "stops"
    REPEATS = "asks for the same page again"
    CURSOR = "goes on from its cursor"
    HANGS = "waits for ever without asking"


class Cursor(StrEnum):
    """What a client keeps for its next poll, to send as `added_after`."""

    NONE = "nothing"
    DATE_ADDED_LAST = "X-TAXII-Date-Added-Last"
    MODIFIED = "the latest `modified` of what it read"
    CLOCK = "its own clock at the start of the poll"


class NoHeader(StrEnum):
    """What a client does when X-TAXII-Date-Added-Last is missing."""

    IGNORES = "does not look at it"
    NOW = "takes its own clock's time"
    AGAIN = "reads its first window again"


class Form(StrEnum):
    """How a client writes `added_after`."""

    VERBATIM = "as it was given"
    MICROSECONDS = "with six digits"
    MILLISECONDS = "cut to three digits"
    SECONDS = "cut to whole seconds"


@dataclass(frozen=True, slots=True)
class Paging:
    """How a client reads a collection.

    Args:
        limit: what it sends; None sends none.
        configurable: whether its user may set the limit.
        window: whether its first poll sends `added_after`.
        carries: parameters that it repeats beside `next`.
        persists: whether it keeps its cursor after each page, so that a restart in the midst of a
            pull resumes from there.
        keeps_next: whether the last `next` of a pull is sent again by the next poll.
        fails_on_empty: whether an envelope without `objects` is an error to it.
        stops_on_empty: whether a page without objects ends its pull even when `more` is true.
    """

    limit: int | None
    goes_on: GoesOn
    without_next: Without
    carries: frozenset[str]
    cursor: Cursor = Cursor.NONE
    form: Form = Form.VERBATIM
    no_header: NoHeader = NoHeader.IGNORES
    configurable: bool = False
    window: bool = False
    persists: bool = False
    keeps_next: bool = False
    fails_on_empty: bool = False
    stops_on_empty: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """One program that speaks TAXII.

    Args:
        accept: its Accept header.
        sends_content_type: whether its GET requests carry a Content-Type too.
        auth: the forms that it can send, its usual one first.
        timeout_s: how long it waits for an answer; None waits for ever.
        follows_redirects: whether it does at all.
        strict_content_type: whether it refuses an answer of another media type, as taxii2-client.
        https_only: whether it refuses http addresses.
        by_title: whether it finds its collection by title instead of id.
        dotted: whether it splits a collection's name at dots.
        uuid_only: whether it takes collection ids of UUID version 4 only.
        takes_twice: whether reading an object again does no harm to it.
        splits_secret: whether it splits its stored credential at each colon.
        assumes_21: False reads objects without `spec_version` as TAXII 2.0.
    """

    name: str
    title: str
    user_agent: str
    steps: tuple[Step, ...]
    auth: tuple[Auth, ...]
    paging: Paging | None = None
    accept: str = TAXII_21
    sends_content_type: bool = False
    timeout_s: float | None = None
    follows_redirects: bool = True
    strict_content_type: bool = False
    https_only: bool = False
    by_title: bool = False
    dotted: bool = False
    uuid_only: bool = False
    takes_twice: bool = True
    splits_secret: bool = False
    assumes_21: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """A product that people have, and what is known of it."""

    name: str
    title: str
    clients: tuple[Client, ...]
    habits: tuple[Habit, ...] = field(repr=False)
