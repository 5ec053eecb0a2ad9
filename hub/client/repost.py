"""Posting again what a restored hub lacks: the very bytes that it once held.

Nothing is sealed or signed here. A home posts what it sent itself, unless its bytes are gone, and
of the manifests and cards that it verified those that its account may post: manifests that its own
root signed and, as an owner, everybody's cards. The hub checks all of it as it did the first time,
so what stands on another member's messages waits until that member has posted its own: members may
run this in any order, and again, until nothing waits.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from hub.channel.card import parse_card
from hub.channel.carriage import from_artifact, is_artifact, to_artifact
from hub.channel.header import Message, MessageType, parse_message
from hub.channel.manifest import parse_signed
from hub.channel.primitives.hash import digest
from hub.client.answers import status_behind
from hub.client.home import Home
from hub.client.port import TaxiiCollection
from hub.client.registration import bind
from hub.client.rows import ChannelRow
from hub.client.signed import SignedMessages
from hub.client.work import Desk
from hub.errors import AccessError, InputError, VerificationError
from hub.model.codec import Json
from hub.model.markings import TLP

MAX_ROUNDS: Final = 64
MAX_REASONS: Final = 5


@dataclasses.dataclass
class Reposted:
    """What came of one run.

    Attributes:
        channel: its name.
        held: messages that the hub holds, whosever they are.
        lacking: messages of ours, or that we may post, that it lacked; whose bytes are here.
        posted: those that it has taken.
        waiting: those that it does not take yet: they stand on what others must post, or what
            nobody has any more.
        gone: own messages that it lacks and whose bytes are not here any more.
        ended: own messages that it lacks and that count no more, as their key was ended before.
        reasons: why the hub refuses what waits, the first few.
    """

    channel: str
    held: int = 0
    lacking: int = 0
    posted: int = 0
    waiting: int = 0
    gone: int = 0
    ended: int = 0
    reasons: list[str] = dataclasses.field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the hub holds everything that this home sent and that counts."""
        return self.posted == self.lacking and not self.gone


@dataclasses.dataclass(frozen=True)
class _Piece:
    """A message that the hub lacks.

    Attributes:
        time: orders it among those of others, UTC seconds.
        position: in the outbox; None for what others sent.
        raw: None for what lies in the outbox.
    """

    time: int
    digest: str
    prev: str | None
    size: int
    tlp: str
    position: int | None = None
    raw: bytes | None = None


def repost(
    desk: Desk,
    name: str,
    *,
    dry_run: bool = False,
    advance: Callable[[float], None] = lambda amount: None,
) -> Reposted:
    """Post again what the hub of a channel lacks of what this home sent.

    Args:
        desk: the home, the network and the clock.
        name: the channel.
        dry_run: only count; nothing is posted.
        advance: told how many messages were read or posted.
    Raises:
        AccessError: the hub does not show the channel to this account, as before its owners have
            posted the manifest that names its member.
        TransportError: the hub is not there.
        ConflictError: another process works with this home.
    """
    home = desk.home
    with home.locked():
        channel = home.state.channel(name)
        if not dry_run:
            _prove(desk, channel)
        collection = _readable(desk, channel)
        held = _digests(collection, advance)
        result = Reposted(channel.name, held=len(held))
        pieces = _lacking(home, channel, held, result)
        result.lacking = len(pieces)
        if dry_run:
            result.waiting = len(pieces)
            return result
        _Posting(desk, channel, collection, held, result, advance).post(pieces)
    return result


def _prove(desk: Desk, channel: ChannelRow) -> None:
    """Bind the account again: the hub may be back at a time before this member did."""
    home = desk.home
    if home.is_stillwatch(channel.api_root) and home.keyring.current.signing_private is not None:
        bind(desk, desk.hub_of(channel))


def _readable(desk: Desk, channel: ChannelRow) -> TaxiiCollection:
    try:
        collection = desk.collection_of(channel)
        if collection.can_read:
            return collection
    except AccessError as error:
        if status_behind(error) == 401:
            raise
    raise AccessError(
        "the hub does not show this channel to this account",
        where=channel.name,
        hint="after a restore an owner who was one before runs stillwatch channel repost first; "
        "an account that is newer than the copy comes from the operator: stillwatch channel "
        f"account {channel.name} --token-file FILE",
    )


def _digests(collection: TaxiiCollection, advance: Callable[[float], None]) -> set[str]:
    """Digest of every message in the collection."""
    found = set()
    for page in collection.pages():
        for each in page.objects:
            held = _digest(each)
            if held is not None:
                found.add(held)
        advance(len(page.objects))
    return found


def _digest(each: Json) -> str | None:
    if not is_artifact(each):
        return None
    try:
        return digest(from_artifact(each, strict=False))
    except (InputError, VerificationError):
        return None


# -- what is lacking -----------------------------------------------------------------------------


def _lacking(home: Home, channel: ChannelRow, held: set[str], result: Reposted) -> Sequence[_Piece]:
    """What the hub lacks and this home may post, in the order in which it was made."""
    public = {each.digest: each for each in _public(home, channel)}
    own = _own(home, channel, held, public, result)
    mine = {each.digest for each in own}
    others = [each for each in public.values() if each.digest not in held | mine]
    pieces = _of_others(home, channel, others, list(public.values()))
    return list(heapq.merge(pieces, own, key=lambda each: each.time))


def _own(
    home: Home,
    channel: ChannelRow,
    held: set[str],
    public: dict[str, Message],
    result: Reposted,
) -> list[_Piece]:
    """What this home sealed, in the order of sealing, sent or not.

    Of each signing key only what follows the last message that the hub holds: a restored hub has
    the beginning of a chain, and what is missing in there was deleted by its sender.
    """
    tops = _tops(home, channel, held)
    trusted = None if channel.trusted is None else home.trusted(channel)
    finals = {} if trusted is None else trusted.manifest.finals
    deleted = frozenset() if trusted is None else trusted.deleted
    pieces: list[_Piece] = []
    time = 0
    for row in home.state.rows(
        "SELECT position, digest, tlp, length(raw) AS size FROM outbox"
        " WHERE channel_id=? AND target='channel' ORDER BY position",
        (channel.channel_id,),
    ):
        position, digest_ = int(row["position"]), str(row["digest"])
        if digest_ in held:
            continue
        message = public.get(digest_)
        if message is None and row["size"]:
            message = parse_message(_raw(home, position))
        if message is None:
            known = home.state.message(channel.channel_id, digest_)
            behind = known is not None and (known.seq or 0) <= tops.get(known.publisher or "", 0)
            result.gone += not behind and digest_ not in deleted
            continue
        header = message.header
        pub, seq = header.pub or "", header.seq or 0
        if header.pub is not None and seq <= tops.get(pub, 0):
            continue
        if pub in finals and seq > finals[pub].seq:
            result.ended += 1
            continue
        if header.t is not MessageType.CARD:
            # A card's time is when it begins to hold, which may be later.
            time = max(time, header.ts)
        pieces.append(
            _Piece(
                time,
                digest_,
                header.prev,
                len(message.raw),
                str(row["tlp"]),
                position,
                None if row["size"] else message.raw,
            )
        )
    return pieces


def _tops(home: Home, channel: ChannelRow, held: set[str]) -> dict[str, int]:
    """Signing key id to the position of its last own message that the hub holds."""
    tops: dict[str, int] = {}
    for row in home.state.rows(
        "SELECT o.position, o.digest, m.publisher, m.seq FROM outbox o LEFT JOIN message m"
        " ON m.channel_id=o.channel_id AND m.digest=o.digest"
        " WHERE o.channel_id=? AND o.target='channel'",
        (channel.channel_id,),
    ):
        if str(row["digest"]) not in held:
            continue
        pub, seq = row["publisher"], row["seq"]
        if pub is None and (raw := _raw(home, int(row["position"]))):
            header = parse_message(raw).header
            pub, seq = header.pub, header.seq
        if pub is not None:
            tops[str(pub)] = max(tops.get(str(pub), 0), int(seq or 0))
    return tops


def _raw(home: Home, position: int) -> bytes:
    (row,) = home.state.rows("SELECT raw FROM outbox WHERE position=?", (position,))
    return bytes(row[0])


def _public(home: Home, channel: ChannelRow) -> Iterator[Message]:
    """Every manifest and card that was accepted here, whoever sent it."""
    for raw in SignedMessages(home.state, channel.channel_id).public():
        yield parse_message(raw)


def _of_others(
    home: Home, channel: ChannelRow, lacking: Sequence[Message], known: Sequence[Message]
) -> list[_Piece]:
    """Those manifests and cards of others that this member's account may post, by time."""
    root = home.keyring.root_id
    signed = [parse_signed(each) for each in known if each.header.t is MessageType.MANIFEST]
    manifests = sorted((each.manifest for each in signed), key=lambda each: each.version)
    owner = any(root in each.owners for each in manifests)
    named: dict[str, int] = {}
    for manifest in manifests:
        for row in manifest.members:
            named.setdefault(row.card, manifest.created)
    tlp = manifests[-1].policy.tlp if manifests else TLP.AMBER.label
    pieces = []
    for message in lacking:
        time = message.header.ts
        if message.header.t is MessageType.MANIFEST:
            if root not in parse_signed(message).signatures:
                continue
        else:
            card = parse_card(message.body)
            if not owner and card.member != home.member_id:
                continue
            # The hub takes a member's first card once a manifest names it.
            time = named.get(card.hash, time)
        pieces.append(_Piece(time, message.digest, None, len(message.raw), tlp, None, message.raw))
    return sorted(pieces, key=lambda each: each.time)


# -- posting -------------------------------------------------------------------------------------


class _Posting:
    """Posts pieces in order, again as long as it helps."""

    def __init__(
        self,
        desk: Desk,
        channel: ChannelRow,
        collection: TaxiiCollection,
        held: set[str],
        result: Reposted,
        advance: Callable[[float], None],
    ) -> None:
        self._desk = desk
        self._channel = channel
        self._collection = collection
        self._held = held
        self._result = result
        self._advance = advance

    def post(self, pieces: Sequence[_Piece]) -> None:
        """Post them all, or as much as the hub takes."""
        left = list(pieces)
        # What was made by several hands may stand in another order here than it was made in.
        for _ in range(MAX_ROUNDS):
            before = len(left)
            self._result.reasons.clear()
            left = self._round(left)
            if not left or len(left) == before:
                break
        self._result.waiting = len(left)
        self._result.posted = self._result.lacking - len(left)

    def _round(self, pieces: Sequence[_Piece]) -> list[_Piece]:
        """Returns what the hub still lacks."""
        limit = self._desk.home.settings.post_bytes
        left: list[_Piece] = []
        chunk: list[_Piece] = []
        size = 0
        for piece in pieces:
            # Base64 inside JSON.
            grown = piece.size * 4 // 3 + 1024
            if chunk and size + grown > limit:
                left += self._post(chunk)
                chunk, size = [], 0
            ready = piece.prev is None or piece.prev in self._held
            if not ready and all(each.digest != piece.prev for each in chunk):
                left.append(piece)
                continue
            chunk.append(piece)
            size += grown
        return left + (self._post(chunk) if chunk else [])

    def _post(self, chunk: Sequence[_Piece]) -> list[_Piece]:
        """Post some pieces; returns those that were not taken."""
        home = self._desk.home
        artifacts = {str(each["id"]): each for each in map(self._artifact, chunk)}
        try:
            answer = self._collection.add(list(artifacts.values()))
        except AccessError as error:
            # A hub says so when an account may post none of them yet.
            if status_behind(error) == 401:
                raise
            self._reason(error.message)
            return list(chunk)
        taken = set(answer.accepted)
        for object_id, why in answer.failures.items():
            if object_id in artifacts and self._holds(object_id, artifacts[object_id]):
                taken.add(object_id)
            else:
                self._reason(why)
        left: list[_Piece] = []
        done: list[_Piece] = []
        for object_id, piece in zip(artifacts, chunk, strict=True):
            (done if object_id in taken else left).append(piece)
        self._held.update(each.digest for each in done)
        with home.state.transaction():
            own = [each.digest for each in done if each.position is not None]
            home.state.mark_sent(own, self._desk.clock())
        self._advance(len(done))
        return left

    def _artifact(self, piece: _Piece) -> Json:
        raw = piece.raw
        if raw is None:
            assert piece.position is not None
            raw = _raw(self._desk.home, piece.position)
        return to_artifact(raw, tlp=TLP.from_label(piece.tlp) or TLP.AMBER)

    def _holds(self, object_id: str, artifact: Json) -> bool:
        """Whether a stock server says failure of what it holds already."""
        if self._desk.home.is_stillwatch(self._channel.api_root):
            return False
        stored = self._collection.get(object_id)
        return stored is not None and _digest(stored) == _digest(artifact)

    def _reason(self, why: str) -> None:
        text = "".join(char for char in why if char.isprintable())
        if text not in self._result.reasons and len(self._result.reasons) < MAX_REASONS:
            self._result.reasons.append(text)
