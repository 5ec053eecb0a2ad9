"""What can be found, how bad it is, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """What a finding means, and what to change."""

    says: str
    remedy: str


class Severity(IntEnum):
    """What becomes of the objects; greater is worse."""

    WORKS = 0
    """Worth knowing; nothing is lost and nothing fails."""
    DUPLICATES = 1
    """The client reads objects again and again."""
    LOSES = 2
    """Objects never reach the client."""
    FAILS = 3
    """The client cannot use the server."""

    @property
    def word(self) -> str:
        """For people and for JSON."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a client would meet.

    Args:
        code: key of CATALOGUE; stable, for scripts.
        severity: for this client; another may live with the same fault.
        who: `profile/client`, or `server` for what harms whoever relies on it.
        evidence: request and answer lines, without secrets and without bodies.
    """

    code: str
    severity: Severity
    who: str
    evidence: tuple[str, ...]

    @property
    def says(self) -> str:
        """What goes wrong, and why."""
        return CATALOGUE[self.code].says

    @property
    def remedy(self) -> str:
        """What to change."""
        return CATALOGUE[self.code].remedy


class GivesUpError(Exception):
    """The client cannot go on; carries why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


class OutOfRequestsError(Exception):
    """The bound on requests is reached: an end of looking, not a verdict."""


CATALOGUE: Final[dict[str, Kind]] = {
    # Reaching the server.
    "unreachable": Kind("no connection", "check address, port and firewall"),
    "tls": Kind(
        "the certificate is not trusted",
        "serve the whole chain of a certificate that the client's machine trusts",
    ),
    "timeout": Kind(
        "no whole answer within the time that the client waits",
        "smaller pages (a lower limit), or a faster server",
    ),
    "too-large": Kind("an answer is greater than the bound", "smaller pages by default"),
    "broken": Kind("the answer breaks HTTP or its coding", "look at proxies that alter answers"),
    "plain-http": Kind("the client refuses http addresses", "serve over https"),
    "redirect": Kind(
        "the server redirects, and the client does not follow",
        "answer at the address that TAXII names, with its slash at the end",
    ),
    "redirect-elsewhere": Kind(
        "the server sends the client to another host: clients drop the credential on the way",
        "answer under one host name, or give out the final address",
    ),
    "redirect-loop": Kind("redirects without end", "answer at one address"),
    "rate-limited": Kind(
        "the server refuses with 429 or 503", "raise the rate limit of this client"
    ),
    "clock-skew": Kind(
        "the client's clock is ahead of the server's, and the client polls on from its own clock: "
        "what is added in between is never read",
        "set both clocks by NTP",
    ),
    # Being let in.
    "auth-form": Kind(
        "the client cannot send the credential in the form that was given",
        "give one that it has: --user with --password-file (of our hubs: the token as password), "
        "--token-file, or --api-key-file",
    ),
    "auth-refused": Kind(
        "the server refuses the credential in the form that the client sends",
        "accept this form (any case of the scheme), or check the account",
    ),
    # Media types.
    "not-acceptable": Kind(
        "the server refuses the client's Accept header with 406",
        "accept application/taxii+json with and without version, in lists and with q-values",
    ),
    "content-type": Kind(
        "the answer's Content-Type is not application/taxii+json;version=2.1",
        "send exactly that media type, unquoted, on each TAXII answer",
    ),
    "unreadable": Kind("the answer is not a readable JSON object", "send strict JSON in UTF-8"),
    "bad-status": Kind(
        "the server answers with an error", "look up this request in the server's log"
    ),
    "not-found": Kind(
        "the address is not there", "check the address; TAXII's paths end in a slash"
    ),
    # Finding the collection.
    "not-taxii": Kind(
        "the address leads to no discovery, API root or collection of TAXII 2.1",
        "give the API root, such as https://taxii.example/root/",
    ),
    "no-roots": Kind("discovery lists no API root", "list the API roots in discovery"),
    "root-not-listed": Kind(
        "discovery does not list the API root that holds the collection",
        "list it in api_roots, under the address that clients use",
    ),
    "root-elsewhere": Kind(
        "discovery names an API root on another host, as behind a proxy that it does not know of",
        "set the server's public address",
    ),
    "collection-missing": Kind(
        "the list of collections lacks the one that was asked for",
        "check the account's rights on the collection",
    ),
    "title-ambiguous": Kind(
        "several collections have this title, and the client looks for titles",
        "give each collection a title of its own",
    ),
    "title-dot": Kind(
        "the client splits root and title at dots",
        "keep dots out of the collection's title and the root's path",
    ),
    "id-form": Kind(
        "the client takes ids of UUID version 4 only", "give the collection such an id"
    ),
    "not-readable": Kind("the account may not read the collection", "grant it the right to read"),
    # Paging.
    "limit-ignored": Kind(
        "a page holds more objects than `limit` allows",
        "honour limit (TAXII 2.1, 3.4.1): clients count on it",
    ),
    "more-without-next": Kind(
        "`more` is true without a `next`",
        "send `next` with each page that is not the last",
    ),
    "next-without-more": Kind(
        "`next` comes with `more` false or missing",
        "send `next` only while `more` is true: some clients never look at `more`",
    ),
    "next-refused": Kind(
        "the server refuses the `next` that it gave, in the way that this client sends it back",
        "take `next` with and without the other parameters of the first request",
    ),
    "next-not-repeatable": Kind(
        "the same `next` gives another page the second time: an answer that is lost on the way "
        "loses its page",
        "make `next` a position that can be asked for again",
    ),
    "stale-next": Kind(
        "the client sends the last `next` of its first pull with every later poll, and the server "
        "refuses it",
        "keep `next` valid for as long as the collection, or restart the client after each pull",
    ),
    "empty-page": Kind(
        "a page without objects says `more`, and the client takes it for the end",
        "never send an empty page that is not the last",
    ),
    "empty-envelope": Kind(
        "an answer without objects, as TAXII 2.1 wants it, is an error to this client: it logs one "
        "and goes on at its next poll",
        "nothing on the server; ignore the client's message",
    ),
    "loops": Kind("the client never comes to an end", "advance `next` with every page"),
    "order": Kind(
        "objects do not come by date_added",
        "sort by date_added, oldest first (TAXII 2.1, 3.4): clients resume by it",
    ),
    "lost-objects": Kind(
        "objects that the server holds never reach the client",
        "let `next` go on exactly after the last object given",
    ),
    "lost-equal-stamps": Kind(
        "objects with the same date_added as the last one of a page never reach the client",
        "give each object a date_added of its own, or put `next` on every page",
    ),
    "resume-loses": Kind(
        "a client that restarts in the midst of a pull goes on from its cursor and loses objects",
        "give each object a date_added of its own, in the order of the pages",
    ),
    "duplicates": Kind(
        "one pull brings objects twice", "let `next` go on after the last object given"
    ),
    "equal-stamps": Kind(
        "several objects share one date_added",
        "give each object a date_added of its own: page edges then fall between stamps",
    ),
    "hidden": Kind(
        "the manifest lists objects that are never given out",
        "give out what the manifest lists",
    ),
    "manifest": Kind("the manifest cannot be read", "serve collections/<id>/manifest/"),
    # The cursor.
    "date-header-missing": Kind(
        "X-TAXII-Date-Added-Last is missing: the client has no cursor for its next poll",
        "send X-TAXII-Date-Added-First and -Last on each page with objects",
    ),
    "date-header-form": Kind(
        "X-TAXII-Date-Added-Last is not an RFC 3339 time in UTC",
        "write it as 2026-01-31T09:30:00.000000Z",
    ),
    "date-header-wrong": Kind(
        "X-TAXII-Date-Added-Last is later than the last object of its page",
        "name the date_added of the page's own last object",
    ),
    "added-after-refused": Kind(
        "the server refuses added_after as the client writes it",
        "take any number of digits of the second's fraction, and none",
    ),
    "added-after-inclusive": Kind(
        "added_after gives the object of that very time again, with each poll",
        "give only what was added after it (TAXII 2.1, 3.4.1)",
    ),
    "added-after-ignored": Kind(
        "added_after is ignored: each poll brings everything",
        "honour added_after",
    ),
    "reads-again": Kind(
        "the client's own cursor makes it read objects again; it knows them by their id",
        "nothing on the server",
    ),
    "modified-ahead": Kind(
        "an object's `modified` lies after every date_added, and the client polls on from the "
        "latest `modified`: what is added until then is never read",
        "refuse or correct objects that are modified in the future",
    ),
    "no-spec-version": Kind(
        "objects without spec_version are read as TAXII 2.0, which fails on 2.1's empty envelopes",
        "send spec_version on each object, observables too",
    ),
    # Writing.
    "not-writable": Kind(
        "the account may not write to the collection", "grant it the right to write"
    ),
    "max-content-length": Kind(
        "max_content_length is missing or no number of bytes, and the client cuts envelopes by it",
        "announce the greatest body that the server takes",
    ),
    "too-small": Kind(
        "max_content_length is less than one object: the client drops what is greater",
        "raise the greatest length of a body",
    ),
    "write-refused": Kind("the server refuses the envelope", "look up this request in its log"),
    "object-refused": Kind(
        "the server's status says that an object failed", "see its message there"
    ),
    "status-broken": Kind(
        "the status resource is incomplete, or its counts do not add up",
        "send id, status and the four counts; total is their sum",
    ),
    "status-missing": Kind(
        "the status that the server named cannot be read",
        "keep status resources for a day",
    ),
    "written-missing": Kind(
        "an object that the server took cannot be read back",
        "answer 202 only when the object will be given out",
    ),
    "secret-colon": Kind(
        "the client splits its stored credential at each colon, and the secret holds one",
        "use a secret without a colon",
    ),
    # The doctor's own.
    "budget": Kind("the bound on requests was reached", "raise --max-requests"),
    "nothing-to-read": Kind(
        "the collection is empty: paging and cursors could not be tried",
        "choose a collection that holds objects, best several pages of them",
    ),
    "read-part": Kind(
        "the collection is greater than what was read: what lies behind was not compared",
        "raise --max-requests",
    ),
    "library-error": Kind("the library raises an error", "see the evidence"),
}
"""By code."""
