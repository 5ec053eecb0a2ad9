"""What a custodian says beside evaluations: how far it knows a channel, and why it refuses.

And how members bring it the manifests and cards that it lacks. See `hub.channel.custodians`.
Source: schemas/channel-v1.md, "Custodians".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.channel.custodians import MAX_HEAD, Custodian, Quota, parse_quota, parse_row
from hub.channel.fields import Fields
from hub.channel.primitives.hash import Reader, lp
from hub.errors import InputError
from hub.model.codec import canonical, loads_canonical

MAX_POST: Final = 8 * 2**20
MAX_POSTED: Final = 2_000
MAX_MISSING: Final = 1_000
MAX_STANDING: Final = 256 * 1024
MAX_LIVE_ROWS: Final = 64


@dataclass(frozen=True)
class Standing:
    """How far a custodian knows a channel.

    Args:
        channel: channel id.
        version: of the manifest in force there; 0 before the genesis.
        manifest: its hash; None before the genesis.
        missing: hashes of the cards that it names and that have not arrived, ascending.
        rows: the custodian's live keys for this channel.
    """

    channel: str
    version: int
    manifest: str | None
    missing: tuple[str, ...] = ()
    rows: tuple[Custodian, ...] = ()

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical(
            {
                "channel": self.channel,
                "version": self.version,
                "manifest": self.manifest,
                "missing": list(self.missing),
                "rows": [row.to_json() for row in self.rows],
            }
        )


def parse_standing(raw: bytes) -> Standing:
    """Read what a custodian says of a channel.

    Raises:
        InputError: the form is wrong.
    """
    where = "standing"
    value = loads_canonical(raw, where=where, max_bytes=MAX_STANDING)
    row = Fields(value, where, ("channel", "version", "manifest", "missing", "rows"))
    rows = row.array("rows", most=MAX_LIVE_ROWS)
    return Standing(
        channel=row.hash("channel"),
        version=row.integer("version"),
        manifest=row.optional_hash("manifest"),
        missing=row.hashes("missing", most=MAX_MISSING),
        rows=tuple(parse_row(each, f"{where}.rows[{at}]") for at, each in enumerate(rows)),
    )


def frame_messages(messages: Sequence[bytes]) -> bytes:
    """Manifest and card messages for a custodian, as one body: `1*lp(message)`."""
    return b"".join(lp(raw) for raw in messages)


def unframe_messages(raw: bytes) -> list[bytes]:
    """The messages in a body.

    Raises:
        InputError: none, too many, too long, or not whole.
    """
    where = "messages"
    if len(raw) > MAX_POST:
        raise InputError(f"{len(raw)} bytes exceed {MAX_POST}", where=where)
    reader = Reader(raw, where)
    found: list[bytes] = []
    while reader.left:
        if len(found) == MAX_POSTED:
            raise InputError(f"more than {MAX_POSTED} messages", where=where)
        found.append(reader.field(f"message {len(found) + 1}", most=MAX_POST))
    if not found:
        raise InputError("at least one message is expected", where=where)
    return found


# -- refusals ----------------------------------------------------------------------------------

CODES: Final = (
    "bad-request",
    "behind",
    "destroyed",
    "expired",
    "not-a-reader",
    "not-verified",
    "quota",
    "replayed",
    "too-large",
    "unavailable",
    "unknown",
)


@dataclass(frozen=True)
class Refusal:
    """Why a custodian did not evaluate.

    Args:
        code: one of `CODES`; `behind` asks for newer manifest and card messages.
        message: the cause, for people.
        hint: what to do.
        retry_after: seconds to wait, or None where waiting does not help.
        quota: what remains, where the member was recognised.
    """

    code: str
    message: str
    hint: str | None = None
    retry_after: int | None = None
    quota: Quota | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical(
            {
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                "retry_after": self.retry_after,
                "quota": None if self.quota is None else self.quota.to_json(),
            }
        )


def parse_refusal(raw: bytes) -> Refusal:
    """Read a refusal.

    Raises:
        InputError: the form is wrong.
    """
    where = "refusal"
    value = loads_canonical(raw, where=where, max_bytes=MAX_HEAD)
    row = Fields(value, where, ("code", "message", "hint", "retry_after", "quota"))
    quota = row.raw("quota")
    return Refusal(
        code=row.one_of("code", CODES),
        message=row.text("message", most=512),
        hint=None if row.raw("hint") is None else row.text("hint", most=512),
        retry_after=None if row.raw("retry_after") is None else row.integer("retry_after"),
        quota=None if quota is None else parse_quota(quota, row.at("quota")),
    )
