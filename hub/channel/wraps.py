"""The body of an epoch message: commitments and wrapped secrets, read without any secret.

`lp(json) ‖ detail wraps ‖ aggregate wraps ‖ history wraps`. A wrap is a KEM key id (32 bytes) and
an HPKE ciphertext (1,168 bytes); a history wrap has one byte of audience and u64 epoch in front.
Source: schemas/channel-v1.md, "Epochs".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hub.channel.fields import Fields, check_ascending
from hub.channel.header import Audience
from hub.channel.members import MAX_MEMBERS
from hub.channel.primitives.hash import Reader, expand, label, lp, u64, unhex
from hub.errors import InputError
from hub.model.codec import canonical, loads_canonical

WRAPPED_SIZE: Final = 1120 + 32 + 16
SECRET_SIZE: Final = 32
# With two full audiences of wraps this stays below the greatest body.
MAX_HISTORY: Final = 2_000
SEALED_AUDIENCES: Final = (Audience.DETAIL, Audience.AGGREGATE)
_MAX_JSON: Final = 4_096


@dataclass(frozen=True)
class History:
    """A secret of an older epoch, wrapped to a later joiner.

    Args:
        audience: detail or aggregate.
        epoch: number of the older epoch.
        kem: KEM key id of the joiner.
        wrapped: HPKE ciphertext.
    """

    audience: Audience
    epoch: int
    kem: str
    wrapped: bytes


@dataclass(frozen=True)
class EpochBody:
    """What an epoch message says.

    Args:
        previous: digest of the epoch message before it; None for epoch 1.
        commitments: audience to commitment, in hex.
        wraps: audience to (KEM key id to HPKE ciphertext).
        history: secrets of older epochs for joiners.
    """

    previous: str | None
    commitments: Mapping[Audience, str]
    wraps: Mapping[Audience, Mapping[str, bytes]]
    history: tuple[History, ...] = ()

    def to_bytes(self) -> bytes:
        """The body in its one encoding."""
        detail, aggregate = (self.wraps[audience] for audience in SEALED_AUDIENCES)
        head = canonical(
            {
                "commit": {str(audience): self.commitments[audience] for audience in self.wraps},
                "counts": {
                    "detail": len(detail),
                    "aggregate": len(aggregate),
                    "history": len(self.history),
                },
                "previous": self.previous,
            }
        )
        parts = [lp(head)]
        parts += [unhex(kem) + wraps[kem] for wraps in (detail, aggregate) for kem in sorted(wraps)]
        parts += sorted(_history_bytes(row) for row in self.history)
        return b"".join(parts)


def parse_epoch_body(data: bytes) -> EpochBody:
    """Read the body of an epoch message.

    Raises:
        InputError: the form is wrong.
    """
    reader = Reader(data, "epoch body")
    head = reader.field("json", most=_MAX_JSON)
    fields = Fields(
        loads_canonical(head, where="epoch body", max_bytes=_MAX_JSON),
        "epoch body",
        ("commit", "counts", "previous"),
    )
    commit = Fields(fields.raw("commit"), "epoch body.commit", ("detail", "aggregate"))
    counts = Fields(fields.raw("counts"), "epoch body.counts", ("detail", "aggregate", "history"))
    wraps = {
        audience: _wraps(reader, counts.integer(audience, most=MAX_MEMBERS), audience)
        for audience in SEALED_AUDIENCES
    }
    history = _history(reader, counts.integer("history", most=MAX_HISTORY))
    reader.end()
    return EpochBody(
        previous=fields.optional_hash("previous"),
        commitments={audience: commit.hash(audience) for audience in SEALED_AUDIENCES},
        wraps=wraps,
        history=history,
    )


def wrap_info(audience: Audience, channel: str, epoch: int, manifest: str, kem: str) -> bytes:
    """HPKE's `info` for a wrap: who it is for, and which secret of which epoch it is."""
    return label("wrap") + _scope(audience, channel, epoch, manifest) + lp(unhex(kem))


def history_info(audience: Audience, channel: str, epoch: int, manifest: str, kem: str) -> bytes:
    """HPKE's `info` for a history wrap; `epoch` and `manifest` are the older epoch's."""
    return label("history wrap") + _scope(audience, channel, epoch, manifest) + lp(unhex(kem))


def commitment(secret: bytes, audience: Audience, channel: str, epoch: int, manifest: str) -> str:
    """What an epoch message publishes about a secret, in hex: every reader recomputes it."""
    return expand(secret, label("commit") + _scope(audience, channel, epoch, manifest)).hex()


def message_key(
    secret: bytes, audience: Audience, channel: str, epoch: int, pub: str, seq: int
) -> bytes:
    """The key of one sealed body, 32 bytes; it depends on sender and position, so none repeats."""
    info = label("message key") + lp(unhex(channel)) + u64(epoch) + lp(audience.encode())
    return expand(secret, info + lp(unhex(pub)) + u64(seq))


def _scope(audience: Audience, channel: str, epoch: int, manifest: str) -> bytes:
    return lp(audience.encode()) + lp(unhex(channel)) + u64(epoch) + lp(unhex(manifest))


def _wraps(reader: Reader, count: int, audience: Audience) -> dict[str, bytes]:
    rows = [
        (reader.fixed(32, "KEM key id").hex(), reader.fixed(WRAPPED_SIZE, "wrap"))
        for _ in range(count)
    ]
    check_ascending([kem for kem, _ in rows], f"epoch body.{audience} wraps")
    return dict(rows)


def _history(reader: Reader, count: int) -> tuple[History, ...]:
    rows = []
    for _ in range(count):
        code, epoch = struct.unpack(">BQ", reader.fixed(9, "history wrap"))
        if code >= len(SEALED_AUDIENCES) or not 1 <= epoch < 2**48:
            raise InputError("an audience or epoch out of range", where="epoch body.history wraps")
        kem = reader.fixed(32, "KEM key id").hex()
        wrapped = reader.fixed(WRAPPED_SIZE, "history wrap")
        rows.append(History(SEALED_AUDIENCES[code], epoch, kem, wrapped))
    check_ascending([_history_bytes(row)[:41] for row in rows], "epoch body.history wraps")
    return tuple(rows)


def _history_bytes(row: History) -> bytes:
    code = SEALED_AUDIENCES.index(row.audience)
    return struct.pack(">BQ", code, row.epoch) + unhex(row.kem) + row.wrapped
