"""What was signed in a channel, kept for proofs: header, hash of the body, signature.

Whole manifests and cards are kept for good, because a proof begins with them; of other messages
the newest 20,000, whose bodies go when their senders' next ones come, unless they are small.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from hub.channel.card import Card, parse_card
from hub.channel.evidence.proof import SignedHeader
from hub.channel.header import ROOT_SIGNED, Message, MessageType, frame
from hub.channel.manifest import Manifest, manifest_of
from hub.channel.primitives.hash import digest
from hub.client.state import State

MAX_SIGNED: Final = 20_000
MAX_FORGED: Final = 16
SMALL_BODY: Final = 1_024
_FORGED: Final = "forged"
_COLUMNS: Final = "header, body_hash, signature, body"


class SignedMessages:
    """The kept parts of one channel's messages.

    Args:
        state: of the home.
        channel_id: of the channel.
    """

    def __init__(self, state: State, channel_id: str) -> None:
        self._state = state
        self._channel = channel_id
        self._newest: dict[str, Message] = {}

    def keep(self, message: Message) -> None:
        """Keep an accepted message; inside a transaction, which `finish` must end."""
        header = message.header
        small = header.t in ROOT_SIGNED or len(message.body) <= SMALL_BODY
        self._put(message, str(header.t), message.body if small else None)
        if header.pub is not None:
            self._newest[header.pub] = message

    def finish(self) -> None:
        """Store the bodies of each key's newest message, drop the older ones, keep the bounds.

        Whether a next message follows the newest one can only be shown with its body.
        """
        for pub, message in self._newest.items():
            self._state.run(
                "UPDATE signed SET body=NULL WHERE channel_id=? AND publisher=? AND seq<?"
                " AND length(body)>?",
                (self._channel, pub, message.header.seq, SMALL_BODY),
            )
            self._state.run(
                "UPDATE signed SET body=? WHERE channel_id=? AND digest=? AND body IS NULL",
                (message.body, self._channel, message.digest),
            )
        self._newest.clear()
        self.trim()

    def keep_forged(self, message: Message) -> None:
        """Keep bytes that failed a check, until the log says whether it holds them."""
        self._put(message, _FORGED, message.body)
        self._trim("type=?", (_FORGED,), MAX_FORGED)

    def trim(self, most: int = MAX_SIGNED) -> None:
        """Forget the oldest beyond the bound; manifests and cards stay."""
        bounded = ",".join(f"'{each}'" for each in (*ROOT_SIGNED, _FORGED))
        self._trim(f"type NOT IN ({bounded})", (), most)

    def item(self, digest_: str) -> SignedHeader | None:
        """A message by its digest."""
        return self._one("digest=?", digest_)

    def at(self, pub: str, seq: int) -> SignedHeader | None:
        """The message of a signing key at a position."""
        return self._one("publisher=? AND seq=? AND type<>'forged'", pub, seq)

    def last_of(self, pub: str) -> SignedHeader | None:
        """The newest message of a signing key."""
        return self._one("publisher=? AND type<>'forged' ORDER BY seq DESC LIMIT 1", pub)

    def items(self) -> Iterator[SignedHeader]:
        """Every message that is kept by its header, in the order of its acceptance."""
        rows = self._state.rows(
            f"SELECT {_COLUMNS} FROM signed WHERE channel_id=? AND publisher IS NOT NULL"
            " AND type<>'forged' ORDER BY position",
            (self._channel,),
        )
        return map(_item, rows)

    def epoch(self, number: int) -> SignedHeader | None:
        """The message that began an epoch."""
        return self._one("type='epoch' AND epoch=? ORDER BY position LIMIT 1", number)

    def manifests(self, newest: Manifest) -> list[bytes]:
        """Manifest messages from the genesis to a manifest; from the first gap on none."""
        known = {manifest.hash: (manifest, raw) for raw, manifest in self._all_manifests()}
        chain: list[bytes] = []
        at: str | None = newest.hash
        while at is not None and at in known:
            manifest, raw = known[at]
            chain.append(raw)
            at = manifest.prev
        return chain[::-1] if at is None else []

    def cards(self) -> list[Card]:
        """Every accepted card."""
        return [parse_card(body) for _, body, _ in self._whole(MessageType.CARD)]

    def public(self) -> list[bytes]:
        """Every accepted manifest and card message, in the order of their acceptance by type."""
        kinds = (MessageType.MANIFEST, MessageType.CARD)
        return [frame(*parts) for kind in kinds for parts in self._whole(kind)]

    def forged(self) -> list[bytes]:
        """Messages that failed a check, oldest first."""
        return [frame(*parts) for parts in self._whole(_FORGED)]

    def _all_manifests(self) -> list[tuple[bytes, Manifest]]:
        raws = [frame(*parts) for parts in self._whole(MessageType.MANIFEST)]
        return [(raw, manifest_of(raw)) for raw in raws]

    def _whole(self, kind: str) -> list[tuple[bytes, bytes, bytes]]:
        rows = self._state.rows(
            "SELECT header, body, signature FROM signed WHERE channel_id=? AND type=?"
            " AND body IS NOT NULL ORDER BY position",
            (self._channel, str(kind)),
        )
        return [(bytes(row[0]), bytes(row[1]), bytes(row[2])) for row in rows]

    def _one(self, where: str, *values: object) -> SignedHeader | None:
        rows = self._state.rows(
            f"SELECT {_COLUMNS} FROM signed WHERE channel_id=? AND {where}",
            (self._channel, *values),
        )
        return _item(rows[0]) if rows else None

    def _put(self, message: Message, kind: str, body: bytes | None) -> None:
        header = message.header
        self._state.run(
            "INSERT OR IGNORE INTO signed"
            f" (channel_id, digest, type, publisher, seq, epoch, {_COLUMNS})"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                self._channel,
                message.digest,
                kind,
                header.pub,
                header.seq,
                header.ep,
                message.header_raw,
                digest(message.body),
                message.signature,
                body,
            ),
        )

    def _trim(self, where: str, values: Sequence[object], most: int) -> None:
        self._state.run(
            f"DELETE FROM signed WHERE channel_id=? AND {where} AND position<="
            f"(SELECT position FROM signed WHERE channel_id=? AND {where}"
            " ORDER BY position DESC LIMIT 1 OFFSET ?)",
            (self._channel, *values, self._channel, *values, most),
        )


def _item(row: sqlite3.Row) -> SignedHeader:
    header, body_hash, signature, body = row
    whole = None if body is None else bytes(body)
    return SignedHeader(bytes(header), str(body_hash), bytes(signature), whole)
