"""What a hub must still show when a channel is verified anew from its beginning.

Whoever gives up its own view could be led back: to a manifest that still names a removed member,
say, under whose epoch it would publish on. So what others had signed is noted first, and nothing is
sealed until the hub has shown all of it again.
"""

from __future__ import annotations

from typing import Final

from hub.channel.header import MessageType, parse_message
from hub.client.home import Home
from hub.client.rows import ChannelRow
from hub.errors import VerificationError
from hub.model.codec import canonical, loads

_KIND: Final = "floor"
_NAME: Final = "verified"


def keep(home: Home, channel: ChannelRow, now: int) -> None:
    """Note what is verified, apart from what nobody else has seen; inside a transaction.

    A note that the hub has not met yet stays.
    """
    if channel.trusted is None or home.secrets(channel.channel_id, _KIND):
        return
    trusted = home.trusted(channel)
    unsent = [parse_message(row.raw) for row in home.state.unsent(channel.channel_id)]
    ours = {message.digest for message in unsent}
    hashes = {each.header.man for each in unsent if each.header.t is MessageType.MANIFEST}
    manifest = trusted.manifest
    while manifest.hash in hashes and manifest.prev is not None:
        before = trusted.manifest_by_hash(manifest.prev)
        assert before is not None
        manifest = before
    epochs = [each for each in trusted.epochs.values() if each.digest not in ours]
    newest = max(epochs, key=lambda each: each.number, default=None)
    others = [card for card in trusted.cards.values() if card.member != home.member_id]
    heads = {card.sign_id: last[0] for card in others if (last := trusted.last(card.sign_id))}
    note = {
        "manifest": manifest.hash,
        "epoch": None if newest is None else {"number": newest.number, "digest": newest.digest},
        "heads": heads,
    }
    home.put_secret(channel.channel_id, _KIND, _NAME, canonical(note), now)


def give_up(home: Home, channel: ChannelRow, now: int) -> int:
    """Drop what is unsent in a channel and what was verified of it; inside a transaction.

    Of fingerprint keys that did not go out nobody else would know. All others stay: what brought
    them may open no more, and a key of the same name and another secret would be refused.

    Returns:
        How many messages were dropped.
    """
    keep(home, channel, now)
    channel_id = channel.channel_id
    unsent = [row.added_at for row in home.state.unsent(channel_id)]
    for each in home.fingerprint_secrets(channel_id):
        # What was sealed after the first message that waits waits too.
        if unsent and each.created >= min(unsent):
            home.state.drop_secret(channel_id, "fingerprint", each.key_id)
    return home.state.abandon(channel_id)


def check(home: Home, channel: ChannelRow, now: int) -> None:
    """Compare with the note, and drop it when everything is there again.

    Raises:
        VerificationError: the hub shows less than it did; also an alarm.
    """
    noted = home.secrets(channel.channel_id, _KIND).get(_NAME)
    if noted is None:
        return
    note = loads(noted)
    missing = ["everything"]
    if channel.trusted is not None:
        trusted = home.trusted(channel)
        epoch = note["epoch"]
        found = None if epoch is None else trusted.epochs.get(epoch["number"])
        missing = [] if trusted.manifest_by_hash(note["manifest"]) else ["a manifest"]
        if epoch is not None and (found is None or found.digest != epoch["digest"]):
            missing.append("an epoch")
        heads = note["heads"].items()
        if any((trusted.last(pub) or (0, ""))[0] < seq for pub, seq in heads):
            missing.append("messages of other members")
    if missing:
        text = f"the hub shows less than before: {', '.join(missing)}"
        home.state.raise_alarm(channel.channel_id, note["manifest"], text, now)
        raise VerificationError(
            text,
            where=channel.name,
            hint="nothing is sent until it is back; after a restore every member runs stillwatch "
            f"channel repost {channel.name}",
        )
    home.state.give_up_sent(channel.channel_id)
    home.state.drop_secret(channel.channel_id, _KIND, _NAME)
