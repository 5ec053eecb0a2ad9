"""What a custodian needs to know who is a member: the channel's manifests and cards, as signed.

Any member may tell it; it believes nobody but the owners' signatures.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hub.channel.card import parse_card
from hub.channel.carriage import from_artifact, is_artifact
from hub.channel.custodian_replies import (
    MAX_POST,
    MAX_POSTED,
    Standing,
    frame_messages,
)
from hub.channel.header import MessageType, parse_message
from hub.channel.manifest import manifest_of
from hub.client.rows import ChannelRow
from hub.client.work import Desk
from hub.errors import InputError, StoreError, VerificationError

_PUBLIC: Final = (MessageType.MANIFEST, MessageType.CARD)
_FRAME: Final = 4


def feed(desk: Desk, channel: ChannelRow, standing: Standing) -> Iterator[bytes]:
    """Bodies to post, so that a custodian knows the channel as far as this member does.

    Args:
        standing: what the custodian knows.
    Raises:
        StoreError: neither the home nor the collection holds the messages.
    """
    version = desk.home.trusted(channel).manifest.version
    manifests, cards = _sorted(_kept(desk, channel))
    if len(manifests) < version:
        # A home of an older release did not keep them.
        manifests, cards = _sorted(_fetched(desk, channel))
    if len(manifests) < version:
        raise StoreError(
            "the channel's manifests are not all here, nor on the hub",
            where=channel.name,
            hint="another member's request brings them to the custodians",
        )
    wanted = [manifests[number] for number in range(standing.version + 1, version + 1)]
    # The custodian cannot say yet which cards of the new manifests it lacks. Others it would not
    # take: their manifest has not reached this member.
    named = {each.card for raw in wanted for each in manifest_of(raw).members}
    named |= set(standing.missing)
    yield from _framed([*wanted, *(cards[each] for each in sorted(named & cards.keys()))])


def _kept(desk: Desk, channel: ChannelRow) -> Iterator[bytes]:
    for row in desk.home.state.rows(
        "SELECT raw FROM message WHERE channel_id=? AND type IN (?,?) AND outcome='accepted'"
        " AND raw IS NOT NULL",
        (channel.channel_id, *(str(each) for each in _PUBLIC)),
    ):
        yield bytes(row[0])


def _fetched(desk: Desk, channel: ChannelRow) -> Iterator[bytes]:
    for page in desk.collection_of(channel).pages():
        for each in page.objects:
            with contextlib.suppress(InputError, VerificationError):
                if is_artifact(each):
                    yield from_artifact(each, strict=False)


def _sorted(messages: Iterable[bytes]) -> tuple[dict[int, bytes], dict[str, bytes]]:
    """Manifest messages by version, and card messages by the card's hash."""
    manifests: dict[int, bytes] = {}
    cards: dict[str, bytes] = {}
    for raw in messages:
        with contextlib.suppress(InputError, VerificationError):
            message = parse_message(raw)
            if message.header.t is MessageType.MANIFEST:
                manifests[manifest_of(raw).version] = raw
            elif message.header.t is MessageType.CARD:
                cards[parse_card(message.body).hash] = raw
    return manifests, cards


def _framed(messages: Sequence[bytes]) -> Iterator[bytes]:
    part: list[bytes] = []
    size = 0
    for raw in messages:
        grown = len(raw) + _FRAME
        if part and (len(part) == MAX_POSTED or size + grown > MAX_POST):
            yield frame_messages(part)
            part, size = [], 0
        part.append(raw)
        size += grown
    if part:
        yield frame_messages(part)
