"""Erasure by policy: old secrets are forgotten, so that who takes a home reads less of the past.

So many seconds after an epoch was superseded its members erase its secrets; and the private KEM
key of an old card, once no epoch that may still be opened is wrapped for it: the wraps stay on the
hub, so that one without the other would forget nothing. What was opened stays until its own end.
Source: schemas/channel-v1.md, "Erasure".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hub.channel.header import Audience
from hub.channel.verify import TrustedChannel
from hub.client.home import Home
from hub.client.rows import ChannelRow
from hub.client.state import State
from hub.model.codec import dumps
from hub.model.identifiers import parse_timestamp

EPOCH: Final = "epoch"
CARD: Final = "card"
FINGERPRINT: Final = "fingerprint"


class Erased:
    """What was erased by the policy of a channel.

    Args:
        state: the home's state.
        channel_id: the channel.
    """

    def __init__(self, state: State, channel_id: str) -> None:
        self._state = state
        self._channel = channel_id

    def put(self, what: str, name: str, at: int) -> None:
        """Note that something was erased."""
        self._state.run(
            "INSERT OR REPLACE INTO erased VALUES (?,?,?,?)", (self._channel, what, name, at)
        )

    def all(self) -> dict[str, dict[str, int]]:
        """What kind of secret -> its name -> when it was erased, UTC seconds; names ascend."""
        found: dict[str, dict[str, int]] = {}
        for row in self._state.rows(
            "SELECT what, name, at FROM erased WHERE channel_id=? ORDER BY what, name",
            (self._channel,),
        ):
            found.setdefault(str(row[0]), {})[str(row[1])] = int(row[2])
        return found


def erase(home: Home, channel: ChannelRow, *, now: int) -> None:
    """Erase what the policy wants erased by now; the caller holds the lock.

    Raises:
        StoreError: the disk failed.
    """
    if channel.trusted is None:
        return
    trusted = home.trusted(channel)
    after = trusted.manifest.policy.erasure
    if after is None:
        return
    gone = False
    with home.state.transaction():
        for number in _ended(trusted, now):
            gone = _erase_epoch(home, channel, number, now) or gone
        for key_id in expired_keys(home, channel, now - after):
            home.state.drop_secret(channel.channel_id, FINGERPRINT, key_id)
            home.state.run(
                "DELETE FROM evaluation WHERE channel_id=? AND key_id=?",
                (channel.channel_id, key_id),
            )
            Erased(home.state, channel.channel_id).put(FINGERPRINT, key_id, now)
            gone = True
    _erase_cards(home, channel, now)
    if gone:
        # Pages that the database's log still holds would keep what the tables have lost.
        home.state.run("PRAGMA wal_checkpoint(TRUNCATE)")


def _ended(trusted: TrustedChannel, now: int) -> set[int]:
    """Epochs whose secrets may not be held any more."""
    after = trusted.manifest.policy.erasure
    return {
        number
        for number, epoch in trusted.epochs.items()
        if after is not None and epoch.superseded is not None and now >= epoch.superseded + after
    }


def _erase_epoch(home: Home, channel: ChannelRow, number: int, now: int) -> bool:
    name = f"{number:08d}"
    if name not in home.state.secrets(channel.channel_id, EPOCH):
        return False
    home.state.drop_secret(channel.channel_id, EPOCH, name)
    # What was kept for a secret that might still have come has waited long enough.
    home.state.run(
        "UPDATE message SET outcome='accepted', raw=NULL"
        " WHERE channel_id=? AND outcome='sealed' AND epoch=?",
        (channel.channel_id, number),
    )
    Erased(home.state, channel.channel_id).put(EPOCH, name, now)
    return True


def expired_keys(home: Home, channel: ChannelRow, before: int) -> list[str]:
    """Fingerprint keys that expired before a time, and that no live indicator needs."""
    expired = [
        each.key_id
        for each in home.fingerprint_secrets(channel.channel_id)
        if each.expires is not None and each.expires <= before
    ]
    if not expired:
        return []
    # Long enough after its expiry that whoever issued under it late is counted too.
    needed = {
        key_id
        for row in home.state.objects(channel.channel_id, types=("indicator",))
        if not row.revoked and _ends(row.body) > before
        for key_id in expired
        if f":{key_id}:".encode() in dumps(row.body)
    }
    return [each for each in expired if each not in needed]


def _ends(body: dict[str, object]) -> float:
    until = body.get("valid_until")
    return parse_timestamp(until).timestamp() if isinstance(until, str) else float("inf")


def _erase_cards(home: Home, channel: ChannelRow, now: int) -> None:
    """Forget the KEM keys of cards that no channel needs any more."""
    channels = [each for each in home.state.channels() if each.standing != "removed"]
    if any(each.trusted is None for each in channels):
        # Who waits to be let in may be let in with any of its cards.
        return
    needed = set().union(*(_needed(home.trusted(each), now) for each in channels))
    numbers = [
        each.card.number
        for each in home.keyring.cards[:-1]
        if each.kem is not None and each.card.kem_id not in needed
    ]
    if not numbers:
        return
    home.replace_keyring(home.keyring.without_kem(numbers))
    _note_cards(home, channel, numbers, now)


def _note_cards(home: Home, channel: ChannelRow, numbers: Iterable[int], now: int) -> None:
    with home.state.transaction():
        for number in numbers:
            Erased(home.state, channel.channel_id).put(CARD, f"{number:08d}", now)


def _needed(trusted: TrustedChannel, now: int) -> set[str]:
    """KEM key ids that a channel still needs: of present cards, and of epochs not ended."""
    ended = _ended(trusted, now)
    needed = {card.kem_id for card in trusted.cards.values()}
    for number, epoch in trusted.epochs.items():
        if number not in ended:
            needed |= epoch.kems[Audience.AGGREGATE] | epoch.kems[Audience.DETAIL]
    return needed
