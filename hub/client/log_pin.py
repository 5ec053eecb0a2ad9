"""Which log the members of a channel require, and what is known of it here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hub.channel.log.checkpoint import cosigned_at, parse_checkpoint
from hub.channel.log.note import KeyType, parse_key
from hub.channel.manifest import Log, Witnesses
from hub.channel.policy import parse_witnesses
from hub.client.drafts import Wanted
from hub.client.home import Home
from hub.client.log_state import LogState
from hub.client.port import TaxiiCollection
from hub.client.proposals import Outcome, enact
from hub.client.rows import ChannelRow
from hub.client.subscriber import refresh
from hub.client.work import Desk
from hub.errors import ConflictError, InputError
from hub.model.codec import Json


@dataclasses.dataclass(frozen=True)
class LogChoice:
    """What an owner wants of the hub's log.

    Attributes:
        wanted: pin it where the hub offers one.
        witnesses: verifier keys of those who must cosign.
        quorum: how many of them; more than half if None.
    """

    wanted: bool = True
    witnesses: Sequence[str] = ()
    quorum: int | None = None


def pinned(collection: TaxiiCollection, choice: LogChoice) -> tuple[Log | None, Witnesses | None]:
    """What a manifest says of the log that a hub offers for a collection.

    Raises:
        InputError: a witness's key is none, or the quorum is not one of them.
        ConflictError: witnesses are wanted, and the hub offers no log.
        TransportError: what the hub offers is no log.
    """
    if not choice.witnesses and choice.quorum is not None:
        raise InputError("a quorum of no witnesses", where="--quorum", hint="--witness KEY")
    log = collection.log if choice.wanted else None
    if not choice.witnesses:
        return log, None
    if log is None:
        raise ConflictError(
            "witnesses cosign a log, and there is none for this channel",
            where=collection.title,
            hint="a Stillwatch hub keeps one; without --no-log it is pinned",
        )
    keys = sorted(set(choice.witnesses))
    quorum = len(keys) // 2 + 1 if choice.quorum is None else choice.quorum
    return log, parse_witnesses({"quorum": quorum, "verifier_keys": keys})


def accept(desk: Desk, name: str, choice: LogChoice | None = None) -> Outcome:
    """Pin the log that the hub keeps now: after a restore from a back-up, or to begin with one.

    Args:
        desk: the home, the network and the clock.
        name: the channel.
        choice: other witnesses than the manifest names, or none; the same ones if None.
    Raises:
        AccessError: only an owner may.
        ConflictError: the hub offers no log, or the manifest pins this one already.
    """
    with desk.home.locked():
        channel = refresh(desk, desk.home.state.channel(name))
        manifest = desk.home.trusted(channel).manifest
        if choice is None:
            known = manifest.witnesses
            choice = LogChoice(
                witnesses=() if known is None else known.verifier_keys,
                quorum=None if known is None else known.quorum,
            )
        log, witnesses = pinned(desk.collection_of(channel), choice)
        if log is None:
            raise ConflictError("the hub offers no log of this channel", where=channel.name)
        if (log, witnesses) == (manifest.log, manifest.witnesses):
            raise ConflictError(
                f"the manifest names this log already, and {_required(witnesses)}",
                where=channel.name,
                hint="--witness KEY names other witnesses, --no-witness none",
            )
        reason = f"{desk.home.organisation[:200]} accepts the log {log.origin}"
        return enact(desk, channel, Wanted(reason=reason, log=log, witnesses=witnesses))


def _required(witnesses: Witnesses | None) -> str:
    if witnesses is None:
        return "no witness"
    return f"{witnesses.quorum} of {len(witnesses.verifier_keys)} witnesses"


@dataclasses.dataclass(frozen=True)
class LogView:
    """What is known here of a channel's log; times in UTC seconds.

    Attributes:
        origin, verifier_key: as the manifest pins them; None: the channel requires no log.
        size, root, signed_at, verified_at: of the last verified checkpoint; None before the first.
        quorum: how many witnesses must cosign.
        cosigned: name of each witness of the manifest, and when it cosigned that checkpoint.
        missing: entries whose message was not shown.
        cited: what each member cited last: its id, size and time.
    """

    origin: str | None = None
    verifier_key: str | None = None
    size: int | None = None
    root: str | None = None
    signed_at: int | None = None
    verified_at: int | None = None
    quorum: int = 0
    cosigned: dict[str, int | None] = dataclasses.field(default_factory=dict)
    missing: int = 0
    cited: list[Json] = dataclasses.field(default_factory=list)


def view(home: Home, channel: ChannelRow) -> LogView:
    """What is known here of a channel's log; nothing is sent.

    Raises:
        ConflictError: nothing of the channel has arrived yet.
    """
    trusted = home.trusted(channel)
    log, witnesses = trusted.manifest.log, trusted.manifest.witnesses
    if log is None:
        return LogView()
    rows = LogState(home.state, channel.channel_id)
    cited: list[Json] = [
        {"member": each.member, "size": each.checkpoint.size, "time": each.checkpoint.time}
        for each in trusted.cited
        if each.checkpoint.origin == log.origin
    ]
    found = LogView(log.origin, log.verifier_key, cited=cited)
    head = rows.head(log.origin)
    if head is None or head.checkpoint is None:
        return found
    signed = parse_checkpoint(head.checkpoint)
    keys = () if witnesses is None else witnesses.verifier_keys
    names = [parse_key(each, KeyType.WITNESS) for each in keys]
    return dataclasses.replace(
        found,
        size=signed.checkpoint.size,
        root=signed.checkpoint.root.hex(),
        signed_at=signed.checkpoint.time,
        verified_at=head.at,
        quorum=0 if witnesses is None else witnesses.quorum,
        cosigned={key.name: cosigned_at(signed.note, key) for key in names},
        missing=rows.count_missing(log.origin),
    )
