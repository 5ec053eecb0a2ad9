"""What a custodian knows of its channels: manifests and cards, verified alone by signatures.

Any member may post them. The channel id pins the genesis, each version names the one before it and
carries its owners' threshold, so nobody can lead the custodian back or aside; who withholds a
version only delays it, and members name the manifest that they hold in every request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.channel.card import Card
from hub.channel.custodian_replies import MAX_LIVE_ROWS, Standing
from hub.channel.header import MessageType, parse_message
from hub.channel.members import Role
from hub.channel.verify import NotYetError, TrustedChannel
from hub.custody import audit
from hub.custody.folder import Folder
from hub.custody.keys import rows_of
from hub.errors import AccessError, ConflictError, InputError, VerificationError

_TAKEN: Final = (MessageType.MANIFEST, MessageType.CARD)


class BehindError(VerificationError):
    """The custodian lacks a newer manifest, or a card that the manifest names."""


class NotAReaderError(AccessError):
    """Who asks may not read the channel, or may not any more."""


class UnknownError(InputError):
    """No such channel or key is served here."""


@dataclass(frozen=True)
class _Known:
    revision: int
    trusted: TrustedChannel
    cards: dict[str, Card]


class Channels:
    """The channels of a folder; every answer is by what is stored, also by another process."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._cache: dict[str, _Known] = {}

    def add(self, channel: str, owner_roots: Sequence[str], *, now: int) -> None:
        """Serve a channel from now on; its genesis is posted.

        Args:
            channel: channel id.
            owner_roots: root ids of the genesis' owners, to compare; none: the id alone decides.
            now: seconds UTC.
        Raises:
            ConflictError: it is served already.
        """
        if self._folder.rows("SELECT 1 FROM channel WHERE channel_id=?", (channel,)):
            raise ConflictError("this channel is served already", where=channel[:16])
        with self._folder.transaction():
            roots = " ".join(sorted(owner_roots))
            self._folder.run("INSERT INTO channel VALUES (?,?,NULL,0,?)", (channel, roots, now))
            audit.append(self._folder, audit.Entry(now, "channel-added", channel))

    def ids(self) -> list[str]:
        """Every channel id."""
        return [
            str(row[0])
            for row in self._folder.rows("SELECT channel_id FROM channel ORDER BY channel_id")
        ]

    def standing(self, channel: str, now: int) -> Standing:
        """How far a channel is known.

        Raises:
            UnknownError: it is not served here.
        """
        known = self._known(channel)
        rows = rows_of(self._folder, channel, now)[-MAX_LIVE_ROWS:]
        if known is None:
            return Standing(channel, 0, None, (), rows)
        manifest = known.trusted.manifest
        arrived = {card.hash for card in known.cards.values()}
        missing = tuple(sorted({row.card for row in manifest.members} - arrived))
        return Standing(channel, manifest.version, manifest.hash, missing, rows)

    def alarms(self, channel: str) -> tuple[str, ...]:
        """Contradictions that the channel's own owners or members signed, oldest first.

        Raises:
            UnknownError: it is not served here.
        """
        known = self._known(channel)
        found = () if known is None else known.trusted.alarms
        return tuple(f"{each.where}: {each.message}" for each in found)

    def take(self, channel: str, messages: Sequence[bytes], *, now: int) -> None:
        """Verify manifests and cards, and remember what they prove.

        What is known already changes nothing. What is refused does not keep the others out.

        Args:
            channel: channel id.
            messages: any order.
            now: seconds UTC.
        Raises:
            UnknownError: the channel is not served here.
            BehindError: one needs another that has not arrived.
            InputError, VerificationError: one is not a manifest or card of it, or proves nothing.
        """
        with self._folder.transaction():
            known = self._known(channel)
            kinds = [(raw, self._check_type(raw, channel)) for raw in messages]
            kinds.sort(key=lambda each: each[1] is MessageType.CARD)
            waiting = [raw for raw, _ in kinds]
            if known is None:
                trusted = self._begin(channel, waiting, now)
            elif not _news(known.trusted, waiting):
                # Anybody may post, and a copy of a large channel takes long.
                return
            else:
                # A copy: what the database did not take must not stay in memory.
                trusted = TrustedChannel.restore(known.trusted.state())
            refused = _accept_all(trusted, _news(trusted, waiting), now)
            state = trusted.state()
            if known is None or state != known.trusted.state():
                self._folder.run(
                    "UPDATE channel SET trusted=?, revision=revision+1 WHERE channel_id=?",
                    (state, channel),
                )
        if refused is not None:
            raise refused

    def reader(self, channel: str, man: str, pub: str, *, now: int) -> Card:
        """The card of a member who may ask: role `read` in the manifest in force.

        Raises:
            UnknownError: the channel is not served here.
            BehindError: a newer manifest, or the member's card, is missing here.
            NotAReaderError: the key belongs to nobody who reads.
        """
        known = self._known(channel)
        if known is None:
            raise BehindError("the channel's genesis has not arrived", where="manifest")
        trusted = known.trusted
        manifest = trusted.manifest
        if trusted.manifest_by_hash(man) is None:
            raise BehindError("names a manifest that has not arrived", where="request.man")
        if now > manifest.expires:
            raise BehindError("the manifest in force has expired", where="manifest")
        card = known.cards.get(pub)
        if card is None:
            self._say_who(trusted, pub)
        assert card is not None
        row = manifest.member(card.member)
        if row is None or Role.READ not in row.roles:
            raise NotAReaderError("does not have the role `read`", where=card.member)
        if not card.valid_at(now):
            raise NotAReaderError("the card is not valid now", where=card.member)
        return card

    def _say_who(self, trusted: TrustedChannel, pub: str) -> None:
        if pub in trusted.manifest.finals:
            raise NotAReaderError("was removed from the channel", where=f"key {pub[:16]}")
        arrived = {card.hash for card in trusted.cards.values()}
        if all(row.card in arrived for row in trusted.manifest.members):
            raise NotAReaderError("belongs to no member of the channel", where=f"key {pub[:16]}")
        raise BehindError("no card with this key has arrived", where="request.pub")

    def _known(self, channel: str) -> _Known | None:
        found = self._folder.rows("SELECT revision FROM channel WHERE channel_id=?", (channel,))
        if not found:
            raise UnknownError("this channel is not served here", where="channel")
        cached = self._cache.get(channel)
        if cached is not None and cached.revision == found[0][0]:
            return cached
        sql = "SELECT revision, trusted FROM channel WHERE channel_id=?"
        revision, state = self._folder.rows(sql, (channel,))[0]
        if not isinstance(state, bytes):
            return None
        assert isinstance(revision, int)
        trusted = TrustedChannel.restore(state)
        cards = {card.sign_id: card for card in trusted.cards.values()}
        self._cache[channel] = _Known(revision, trusted, cards)
        return self._cache[channel]

    def _begin(self, channel: str, messages: Sequence[bytes], now: int) -> TrustedChannel:
        sql = "SELECT owner_roots FROM channel WHERE channel_id=?"
        roots = str(self._folder.rows(sql, (channel,))[0][0]).split()
        for raw in messages:
            if parse_message(raw).header.man == channel:
                trusted = TrustedChannel.from_genesis(raw, owner_roots=roots or None, now=now)
                if trusted.channel == channel:
                    return trusted
        raise BehindError("the channel's genesis has not arrived", where="manifest")

    def _check_type(self, raw: bytes, channel: str) -> MessageType:
        header = parse_message(raw).header
        if header.t not in _TAKEN:
            raise InputError(f"manifests and cards are taken here, no {header.t}", where="message")
        if header.ch != channel:
            raise VerificationError("belongs to another channel", where="message")
        return header.t


def _news(trusted: TrustedChannel, messages: Sequence[bytes]) -> list[bytes]:
    """What is not known yet, once each: signatures cost more than sending them does."""
    cards = {card.raw for card in trusted.cards.values()}
    found = []
    for raw in dict.fromkeys(messages):
        message = parse_message(raw)
        stated = message.header.man
        known = stated is not None and trusted.manifest_by_hash(stated) is not None
        if not known and message.body not in cards:
            found.append(raw)
    return found


def _accept_all(
    trusted: TrustedChannel, messages: Sequence[bytes], now: int
) -> InputError | VerificationError | None:
    """Accept what can be, again while that helps; returns why the first refused one was."""
    left, refused = list(messages), None
    while left:
        early: list[bytes] = []
        for raw in left:
            try:
                trusted.accept(raw, now=now)
            except NotYetError as error:
                early.append(raw)
                reason = error
            except (InputError, VerificationError) as error:
                refused = refused or error
        if len(early) == len(left):
            return refused or BehindError(f"waits for an earlier message: {reason}")
        left = early
    return refused
