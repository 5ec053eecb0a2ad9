"""From a row of a lab's table to indicators, with a verdict for each row.

A row of the accounts table becomes one indicator for each identifier that it holds: a provider
matches any one of them, and each kind keeps a confidence and a lifetime of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from hub.client import guards
from hub.client.evaluations import Value
from hub.client.forms import NONE, OBLIVIOUS, Forms
from hub.client.ingest import ACCOUNT_FIELDS, PLAIN_FIELDS, Row
from hub.client.known_tokens import KnownTokens
from hub.errors import InputError
from hub.fingerprint import normalise, prompts
from hub.fingerprint.oblivious import bucket
from hub.fingerprint.tokens import FingerprintKey, token
from hub.model.buckets import Bucket
from hub.model.codec import Json
from hub.model.fields import MAX_BUCKET_BITS
from hub.model.markings import TLP
from hub.model.objects import (
    MAX_LIFETIME,
    account_indicator,
    account_token_indicator,
    network_indicator,
    prompt_indicator,
)

_TOKEN_KINDS: Final = {
    "email": "email",
    "phone": "phone",
    "payment": "payment-instrument",
    "device": "device",
    "api_key": "api-key",
}
_TEXT_KINDS: Final = frozenset({"minhash-lsh", "template", "sha256-norm", "sha256-raw", "literal"})
_HASH_KINDS: Final = frozenset({"template", "sha256-norm", "sha256-raw"})
_ASN: Final = re.compile(r"(?:AS)?\d{1,10}", re.IGNORECASE)
_MAX_CAMPAIGN: Final = 120
DEFAULT_CONFIDENCE: Final = 50


class Verdict(StrEnum):
    """What becomes of a row."""

    ACCEPTED = "accepted"
    TOKENISED = "tokenised"
    WARNED = "warned"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


@dataclasses.dataclass
class RowReport:
    """The verdict on a row, its reasons without any of its values, and its indicators' ids."""

    where: str
    verdict: Verdict
    reasons: list[str] = dataclasses.field(default_factory=list)
    indicators: list[str] = dataclasses.field(default_factory=list)

    def to_json(self) -> Json:
        """The report as JSON."""
        return dataclasses.asdict(self) | {"verdict": str(self.verdict)}


@dataclasses.dataclass(frozen=True)
class Author:
    """In whose name, when and how rows become indicators.

    Attributes:
        member: identity id of the publisher.
        now: when this version is made.
        keys: live fingerprint keys of the channel; without any, identifiers are refused.
        forms: the form of each kind of identifier, by the channel's policy.
        oblivious: the oblivious tokens that are known; None: no custodians serve the channel.
        tlp: marking of every object.
        campaign: campaign of rows that name none.
        confidence: confidence of rows that give none, 0 to 100.
        region: ISO 3166 region of phone numbers without a country code.
        known: identifiers that were published before, with the ids of their indicators.
        values: takes up the identifier behind each indicator that is made of one, by id.
    """

    member: str
    now: datetime
    keys: Sequence[FingerprintKey]
    forms: Forms = dataclasses.field(default_factory=Forms)
    oblivious: KnownTokens | None = None
    tlp: TLP = TLP.AMBER
    campaign: str | None = None
    confidence: int = DEFAULT_CONFIDENCE
    region: str | None = None
    known: Mapping[Value, str] = dataclasses.field(default_factory=dict)
    values: dict[str, Value] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True)
class Detection:
    """The indicators of one row.

    Attributes:
        dated: whether the row itself says from when it holds.
        unasked: identifiers without an indicator yet: the custodians have to be asked first.
    """

    indicators: tuple[Json, ...]
    campaign: str | None
    first_seen: datetime | None
    last_seen: datetime | None
    dated: bool
    unasked: tuple[Value, ...] = ()


class UnaskedError(Exception):
    """The custodians have yet to evaluate an identifier.

    Args:
        value: kind and normal form.
    """

    def __init__(self, value: Value) -> None:
        super().__init__(value[0])
        self.value = value


def detect(row: Row, author: Author) -> tuple[Detection | None, RowReport]:
    """Make a row's indicators.

    Nothing is raised for a bad row: it is refused, and the report says why.
    """
    report = RowReport(row.where, Verdict.REFUSED)
    if row.problem is not None:
        report.reasons.append(row.problem)
        return None, report
    try:
        span = _span(row.values, author, report)
        campaign = _campaign(row.values.get("campaign", author.campaign))
        options = {
            "created_by": author.member,
            "created": author.now,
            "valid_from": span.valid_from,
            "valid_until": span.valid_until,
            "confidence": _confidence(row.values.get("confidence"), author.confidence),
            "tlp": author.tlp,
        }
    except InputError as error:
        report.reasons.append(str(error))
        return None, report
    made: list[Json] = []
    unasked: list[Value] = []
    tokenised = False
    for field, build in _builders(row.values, author, options):
        try:
            made.append(build())
            tokenised = tokenised or field in ACCOUNT_FIELDS
        except UnaskedError as error:
            unasked.append(error.value)
            tokenised = True
        except InputError as error:
            # Only the message: `where` of a builder may name what the reader cannot see.
            report.reasons.append(f"{field}: {error.message}")
    if not made and not unasked:
        if not report.reasons:
            report.reasons.append("holds nothing that an indicator can be made of")
        return None, report
    report.indicators = [str(each["id"]) for each in made]
    if campaign is None:
        report.reasons.append("no campaign: stands alone")
    if report.reasons:
        report.verdict = Verdict.WARNED
    else:
        report.verdict = Verdict.TOKENISED if tokenised else Verdict.ACCEPTED
    detection = Detection(
        tuple(made), campaign, span.first_seen, span.last_seen, span.dated, tuple(unasked)
    )
    return detection, report


@dataclasses.dataclass(frozen=True)
class _Span:
    valid_from: datetime
    valid_until: datetime
    first_seen: datetime | None
    last_seen: datetime | None
    dated: bool


def _span(values: Mapping[str, str], author: Author, report: RowReport) -> _Span:
    first, last, until = (
        _moment(values.get(field), field) for field in ("first_seen", "last_seen", "valid_until")
    )
    if first is not None and first > author.now + timedelta(days=1):
        raise InputError("lies in the future", where="first_seen")
    if first is not None and last is not None and last < first:
        raise InputError("lies before first_seen", where="last_seen")
    if last is not None and last > author.now + timedelta(days=1):
        report.reasons.append("last_seen: lies in the future")
    start = first or author.now
    end = until or start + MAX_LIFETIME
    if end <= start:
        raise InputError("lies before first_seen", where="valid_until")
    if end > start + MAX_LIFETIME:
        end = start + MAX_LIFETIME
        report.reasons.append(f"valid_until: cut to {MAX_LIFETIME.days} days after first_seen")
    if end <= author.now:
        report.reasons.append("has expired already: describes past events only")
    return _Span(start, end, first, last, first is not None)


def _moment(text: str | None, field: str) -> datetime | None:
    """ISO 8601 date or time; without a zone it counts as UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError("not an ISO 8601 time", where=field) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    moment = moment.astimezone(UTC)
    if not 2000 <= moment.year <= 2200:
        raise InputError("not a plausible time", where=field)
    return moment


def _campaign(text: str | None) -> str | None:
    if text is None:
        return None
    name = text.strip()
    if not name or len(name) > _MAX_CAMPAIGN or not name.isprintable():
        raise InputError(f"a name has 1 to {_MAX_CAMPAIGN} printable characters", where="campaign")
    reason = guards.free_text(name)
    if reason:
        raise InputError(reason, where="campaign")
    return name


def _confidence(text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        value = int(text.strip())
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise InputError("an integer from 0 to 100 is wanted", where="confidence")
    return value


_Build = Callable[[], Json]


def _builders(
    values: Mapping[str, str], author: Author, options: Mapping[str, Any]
) -> list[tuple[str, _Build]]:
    found: list[tuple[str, _Build]] = [
        (field, functools.partial(_tokens, field, values[field], author, options))
        for field in ACCOUNT_FIELDS
        if field in values
    ]
    found += [
        (field, functools.partial(_plain, field, values[field], options))
        for field in PLAIN_FIELDS
        if field in values
    ]
    if {"text", "pattern", "kind"} & values.keys():
        found.append(("prompt", lambda: _prompt(values, options)))
    return found


def _tokens(field: str, raw: str, author: Author, options: Mapping[str, Any]) -> Json:
    if not author.keys:
        raise InputError("the channel's fingerprint key is not here yet; stillwatch pull")
    kind = _TOKEN_KINDS[field]
    try:
        value = normalise.of_kind(kind, raw, region=author.region)
    except InputError as error:
        if kind != "phone" or author.region is not None:
            raise
        hint = "publish --region DE, say, names the country of numbers without a code"
        raise InputError(f"{error.message}; {hint}") from None
    identifier = (kind, value)
    # Under a new key it is the same indicator still.
    known = {"object_id": author.known[identifier]} if identifier in author.known else {}
    made = token_indicator(author, identifier, {**options, **known})
    author.values[str(made["id"])] = identifier
    return made


def token_indicator(author: Author, value: Value, options: Mapping[str, Any]) -> Json:
    """The indicator of an identifier, in the form that the channel's policy asks for.

    A bucket has the greatest length at first; `forms.fit_buckets` cuts it.

    Args:
        author: its keys, forms and known tokens decide.
        value: kind and normal form.
        options: of `account_token_indicator`.
    Raises:
        InputError: the policy takes no tokens of this kind, or nobody can make them yet.
        UnaskedError: the custodians have to be asked first.
    """
    kind = value[0]
    form = author.forms.of(kind)
    if form == NONE:
        raise InputError(f"the channel's policy takes no tokens of the kind {kind}")
    if form != OBLIVIOUS:
        return account_token_indicator([token(key, *value) for key in author.keys], **options)
    if author.oblivious is None:
        raise InputError(
            "the channel's policy wants oblivious tokens, and no custodians serve its fingerprint "
            "key yet; the owner states them, then stillwatch pull"
        )
    found = author.oblivious.token(value)
    if found is None:
        raise UnaskedError(value)
    key = author.oblivious.key
    number = bucket(key, *value, MAX_BUCKET_BITS)
    place = Bucket(kind, key.key_id, MAX_BUCKET_BITS, number)
    return account_token_indicator([found], bucket=place, **options)


def _plain(field: str, value: str, options: Mapping[str, Any]) -> Json:
    if field == "email_domain":
        return account_indicator("email-domain", value, **options)
    if field == "api_key_prefix":
        return account_indicator("api-key-prefix", value, **options)
    if field == "user_agent":
        return network_indicator(value, kind="user-agent", **options)
    if field == "asn" and not _ASN.fullmatch(value.strip()):
        raise InputError("not the number of an autonomous system, such as AS64500")
    if field == "asn":
        return network_indicator(value if value[:2].upper() == "AS" else f"AS{value}", **options)
    if field in ("domain", "ja3", "ja4"):
        return network_indicator(value, kind=field, **options)
    _check_address(value.strip())
    return network_indicator(value, **options)


def _check_address(value: str) -> None:
    """Say of an address what is wrong with it as such; the builder decides how wide it may be."""
    try:
        ipaddress.ip_network(value)
    except ValueError:
        pass
    else:
        return
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise InputError("not an address or prefix") from None
    raise InputError("host bits are set: a prefix begins with its network's own address")


def _prompt(values: Mapping[str, str], options: Mapping[str, Any]) -> Json:
    kind = values.get("kind", "minhash-lsh").strip().removeprefix("prompt.")
    if kind == "regex":
        expression = values.get("pattern")
        if expression is None:
            raise InputError("the kind regex wants a column pattern")
        _guard(guards.regex(expression))
        return prompt_indicator(kind, expression, **options)
    if kind not in _TEXT_KINDS:
        raise InputError(
            f"not a kind of prompt; one of {', '.join(sorted({*_TEXT_KINDS, 'regex'}))}"
        )
    text = values.get("text")
    if text is None and kind in _HASH_KINDS and "pattern" in values:
        # A lab that keeps hashes only: the builder refuses the hash of nothing.
        return prompt_indicator(kind, values["pattern"].strip().lower(), **options)
    if text is None:
        raise InputError(f"the kind {kind} wants a column text")
    if kind == "literal":
        _guard(guards.literal(text))
        return prompt_indicator(kind, text, **options)
    features = prompts.features(text)
    if kind == "minhash-lsh" and not features.lsh_bands:
        raise InputError("fewer than 3 words: near-duplicates cannot be found")
    _guard(guards.prompt(text))
    return prompt_indicator(kind, features, **options)


def _guard(reason: str | None) -> None:
    if reason is not None:
        raise InputError(reason)
