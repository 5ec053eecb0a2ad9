"""Custodians of oblivious tokens: the row that owners state, and what members and custodians say.

A custodian evaluates blinded elements for members who may read, under a key that serves one
fingerprint key of one channel. Requests are signed by the member's card; answers are proven by the
evaluation's own proof, which `hub.fingerprint.oblivious` checks against the row's public key.
Bytes in, bytes out: the group's arithmetic is not here.
Source: schemas/channel-v1.md, "Custodians".
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from hub.channel.fields import VERSION, Fields, check_ascending, to_base64
from hub.channel.primitives.hash import Reader, digest, label, lp, sha256
from hub.channel.primitives.sign import SIGNATURE_SIZE, SigningPrivate, SigningPublic
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

OBLIVIOUS_SUITE: Final = "voprf.ristretto255.sha512"
ELEMENT_SIZE: Final = 32
PROOF_SIZE: Final = 64
MAX_ELEMENTS: Final = 4_096
MAX_ROWS: Final = 512
"""Two custodians for each of the most fingerprint keys of a channel."""
MAX_HEAD: Final = 4 * 1024
MAX_REQUEST: Final = MAX_ELEMENTS * ELEMENT_SIZE + MAX_HEAD + SIGNATURE_SIZE + 64
MAX_ANSWER: Final = MAX_ELEMENTS * ELEMENT_SIZE + MAX_HEAD + PROOF_SIZE + 64
NONCE_SIZE: Final = 32
CLOCK_SKEW: Final = 600
"""Seconds that a request's `ts` may differ from the custodian's clock, either way."""
_ID: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,62}")
_ROW: Final = ("id", "url", "key", "public_key", "created", "expires")
_REQUEST: Final = (
    "v", "suite", "channel", "man", "key", "custodian", "pub", "nonce", "ts", "count",
)  # fmt: skip
_ANSWER: Final = ("v", "suite", "channel", "key", "custodian", "request", "count", "quota")
_QUOTA: Final = ("day", "left", "resets", "burst", "burst_left")


@dataclass(frozen=True)
class Custodian:
    """One custodian's key for one fingerprint key, as the owners state it in a `keys` message.

    Args:
        custodian_id: the operator's name for the service: lower-case letters, digits, `.`, `-`.
        url: where it is served, without a slash at its end.
        key_id: the fingerprint key that it serves.
        public_key: 32 bytes, an element of ristretto255; whoever uses it checks that it is one.
        created: seconds UTC.
        expires: seconds UTC; no evaluation after it.
    Raises:
        InputError: a field is not of its form.
    """

    custodian_id: str
    url: str
    key_id: str
    public_key: bytes
    created: int
    expires: int

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.custodian_id):
            raise InputError("not the id of a custodian", where="custodian.id")
        if not self.url.startswith(("https://", "http://")) or self.url.endswith("/"):
            raise InputError("a web address without a slash at its end", where="custodian.url")
        if len(self.public_key) != ELEMENT_SIZE:
            raise InputError(f"{ELEMENT_SIZE} bytes are expected", where="custodian.public_key")
        if self.expires <= self.created:
            raise InputError("ends before it begins", where="custodian.expires")

    def to_json(self) -> Json:
        """The row with its exact key set."""
        return {
            "id": self.custodian_id,
            "url": self.url,
            "key": self.key_id,
            "public_key": to_base64(self.public_key),
            "created": self.created,
            "expires": self.expires,
        }

    @property
    def text(self) -> str:
        """The row as one line to hand to the channel's owners."""
        return canonical(self.to_json()).decode()


def parse_row(value: object, where: str) -> Custodian:
    """Read one row.

    Raises:
        InputError: the form is wrong.
    """
    row = Fields(value, where, _ROW)
    return Custodian(
        custodian_id=row.text("id", most=63),
        url=row.text("url", most=2048),
        key_id=row.text("key", most=64),
        public_key=row.data("public_key", size=ELEMENT_SIZE),
        created=row.time("created"),
        expires=row.time("expires"),
    )


def parse_row_text(text: str) -> Custodian:
    """Read a row that an operator handed over as text.

    Raises:
        InputError: the form is wrong.
    """
    data = text.strip().encode(errors="surrogatepass")
    return parse_row(loads_canonical(data, where="row", max_bytes=MAX_HEAD), "row")


def parse_rows(values: Sequence[Any], where: str) -> tuple[Custodian, ...]:
    """Read the rows of a `keys` message: none or two for each fingerprint key.

    Raises:
        InputError: the form is wrong, or a fingerprint key has one custodian, or twice the same.
    """
    rows = tuple(parse_row(value, f"{where}[{at}]") for at, value in enumerate(values))
    check_rows(rows, where)
    return rows


def check_rows(rows: Sequence[Custodian], where: str) -> None:
    """Require rows that ascend by (key, id), two for each key, of different names and keys.

    Raises:
        InputError: they are not.
    """
    check_ascending([f"{row.key_id} {row.custodian_id}" for row in rows], where)
    for key_id, group in groupby(rows, key=lambda row: row.key_id):
        pair = list(group)
        if len(pair) != 2:
            raise InputError(f"{key_id} needs two custodians, not {len(pair)}", where=where)
        if pair[0].public_key == pair[1].public_key or pair[0].url == pair[1].url:
            raise InputError(f"the custodians of {key_id} are one and the same", where=where)


def key_info(channel: str, key_id: str) -> bytes:
    """What a custodian's private key is bound to: the `info` of RFC 9497's DeriveKeyPair."""
    return label("custodian key") + lp(bytes.fromhex(channel)) + lp(key_id.encode("ascii"))


# -- requests ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EvaluationRequest:
    """A request whose form holds; `verify` is for whoever knows the signing key.

    Args:
        channel: channel id.
        man: hash of the manifest that the member holds current.
        key_id: fingerprint key.
        custodian_id: for whom it is meant.
        pub: signing key id of the member's card.
        nonce: 32 random bytes, in hex.
        ts: seconds UTC.
        elements: blinded elements, 32 bytes each.
        digest: hash of the whole request, in hex.
        raw: the whole request.
    """

    channel: str
    man: str
    key_id: str
    custodian_id: str
    pub: str
    nonce: str
    ts: int
    elements: bytes = field(repr=False)
    digest: str
    raw: bytes = field(repr=False)
    _signed: bytes = field(repr=False)
    _signature: bytes = field(repr=False)

    @property
    def count(self) -> int:
        """How many elements."""
        return len(self.elements) // ELEMENT_SIZE

    def verify(self, signing: SigningPublic) -> None:
        """Check both signatures.

        Raises:
            VerificationError: another key, or a signature does not hold.
        """
        if signing.id != self.pub:
            raise VerificationError("was signed with another key", where="request.pub")
        signing.verify(self._signature, self._signed, where="request signature")


def make_request(
    signing: SigningPrivate,
    custodian: Custodian,
    elements: bytes,
    *,
    channel: str,
    man: str,
    now: int,
    nonce: bytes | None = None,
) -> EvaluationRequest:
    """Ask a custodian to evaluate blinded elements.

    Args:
        signing: the signing pair of the member's card in the manifest in force.
        custodian: from the `keys` message.
        elements: 32 bytes each, at most 4,096.
        channel: channel id.
        man: hash of the manifest that the member holds current.
        now: seconds UTC.
        nonce: 32 bytes; random if None. Never sign two requests with one.
    Returns:
        The request; send its `raw`.
    Raises:
        InputError: no custodian would accept it.
    """
    nonce = secrets.token_bytes(NONCE_SIZE) if nonce is None else nonce
    head = canonical(
        {
            "v": VERSION,
            "suite": OBLIVIOUS_SUITE,
            "channel": channel,
            "man": man,
            "key": custodian.key_id,
            "custodian": custodian.custodian_id,
            "pub": signing.public.id,
            "nonce": nonce.hex(),
            "ts": now,
            "count": len(elements) // ELEMENT_SIZE,
        }
    )
    raw = (
        label("custodian request")
        + lp(head)
        + lp(elements)
        + signing.sign(_request_signed(head, elements))
    )
    return parse_request(raw)


def parse_request(raw: bytes) -> EvaluationRequest:
    """Read a request; its signature is not verified yet.

    Raises:
        InputError: the form is wrong.
        VerificationError: a version or suite that is not known.
    """
    where = "request"
    if len(raw) > MAX_REQUEST:
        raise InputError(f"{len(raw)} bytes exceed {MAX_REQUEST}", where=where)
    reader = Reader(raw, where)
    reader.label("custodian request")
    head = reader.field("head", most=MAX_HEAD)
    elements = reader.field("elements", most=MAX_ELEMENTS * ELEMENT_SIZE)
    signature = reader.fixed(SIGNATURE_SIZE, "signature")
    reader.end()
    fields = _head(head, where, _REQUEST)
    _check_count(fields, elements)
    return EvaluationRequest(
        channel=fields.hash("channel"),
        man=fields.hash("man"),
        key_id=fields.text("key", most=64),
        custodian_id=fields.text("custodian", most=63),
        pub=fields.hash("pub"),
        nonce=fields.hash("nonce"),
        ts=fields.time("ts"),
        elements=elements,
        digest=digest(raw),
        raw=raw,
        _signed=_request_signed(head, elements),
        _signature=signature,
    )


def _request_signed(head: bytes, elements: bytes) -> bytes:
    return label("custodian request signature") + sha256(head) + sha256(elements)


# -- answers -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quota:
    """What a member may still ask a custodian; a custodian's word, no proof.

    Args:
        day: elements in a day of UTC.
        left: of them.
        resets: when the next day begins, seconds UTC.
        burst: elements at once; an hour restores them all, evenly.
        burst_left: of them.
    """

    day: int
    left: int
    resets: int
    burst: int
    burst_left: int

    def to_json(self) -> Json:
        """The object with its exact key set."""
        return {name: getattr(self, name) for name in _QUOTA}


def parse_quota(value: object, where: str) -> Quota:
    """Read what is left to a member.

    Raises:
        InputError: the form is wrong.
    """
    row = Fields(value, where, _QUOTA)
    return Quota(
        day=row.integer("day"),
        left=row.integer("left"),
        resets=row.time("resets"),
        burst=row.integer("burst"),
        burst_left=row.integer("burst_left"),
    )


@dataclass(frozen=True)
class EvaluationAnswer:
    """An answer to one request, its proof not verified yet.

    Args:
        elements: evaluated elements, 32 bytes each.
        proof: 64 bytes.
        quota: what remains.
    """

    elements: bytes
    proof: bytes
    quota: Quota


def make_answer(request: EvaluationRequest, elements: bytes, proof: bytes, quota: Quota) -> bytes:
    """Answer a request.

    Args:
        request: as it came.
        elements: evaluated, 32 bytes each.
        proof: 64 bytes.
        quota: what remains to the member.
    Raises:
        InputError: no member would accept it.
    """
    head = canonical(
        {
            "v": VERSION,
            "suite": OBLIVIOUS_SUITE,
            "channel": request.channel,
            "key": request.key_id,
            "custodian": request.custodian_id,
            "request": request.digest,
            "count": len(elements) // ELEMENT_SIZE,
            "quota": quota.to_json(),
        }
    )
    raw = label("custodian answer") + lp(head) + lp(elements) + proof
    parse_answer(raw, request)
    return raw


def parse_answer(raw: bytes, request: EvaluationRequest) -> EvaluationAnswer:
    """Read the answer to a request. The caller still owes the check of the proof.

    Raises:
        InputError: the form is wrong.
        VerificationError: it answers another request, or for another custodian, channel or key.
    """
    where = f"answer of {request.custodian_id}"
    if len(raw) > MAX_ANSWER:
        raise InputError(f"{len(raw)} bytes exceed {MAX_ANSWER}", where=where)
    reader = Reader(raw, where)
    reader.label("custodian answer")
    head = reader.field("head", most=MAX_HEAD)
    elements = reader.field("elements", most=MAX_ELEMENTS * ELEMENT_SIZE)
    proof = reader.fixed(PROOF_SIZE, "proof")
    reader.end()
    fields = _head(head, where, _ANSWER)
    _check_count(fields, elements)
    stated = (
        fields.hash("request"),
        fields.hash("channel"),
        fields.text("key", most=64),
        fields.text("custodian", most=63),
    )
    asked = (request.digest, request.channel, request.key_id, request.custodian_id)
    if stated != asked or len(elements) != len(request.elements):
        raise VerificationError("is the answer to another request", where=where)
    return EvaluationAnswer(elements, proof, parse_quota(fields.raw("quota"), fields.at("quota")))


# -- what a custodian knows of a channel ---------------------------------------------------------


def _head(data: bytes, where: str, names: Sequence[str]) -> Fields:
    fields = Fields(loads_canonical(data, where=where, max_bytes=MAX_HEAD), where, names)
    if fields.raw("v") != VERSION or type(fields.raw("v")) is not int:
        raise VerificationError("a protocol version unknown here", where=fields.at("v"))
    if fields.raw("suite") != OBLIVIOUS_SUITE:
        raise VerificationError("a suite unknown here: there is one only", where=fields.at("suite"))
    return fields


def _check_count(fields: Fields, elements: bytes) -> None:
    count = fields.integer("count", least=1, most=MAX_ELEMENTS)
    if len(elements) != count * ELEMENT_SIZE:
        raise InputError(f"{count} elements are expected", where=fields.at("count"))
