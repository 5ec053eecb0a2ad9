"""`channel audit`: look at everything that is held of a channel once more, and prove what is wrong.

Nothing is sent. What signatures contradict, or what the log lacks, is a finding with a proof file;
what only lags is a warning.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hub.channel.evidence.proof import SignedHeader
from hub.channel.header import MessageType, parse_header, parse_message
from hub.channel.ledger import CLOCK_SKEW
from hub.channel.log.checkpoint import SignedCheckpoint, verify_checkpoint
from hub.channel.log.tree import leaf_hash, root_of
from hub.channel.manifest import Role
from hub.channel.notices import parse_heartbeat
from hub.channel.primitives.hash import label, sha256
from hub.client import evidence
from hub.client.evidence import Evidence
from hub.client.home import Home
from hub.client.log_gaps import leaves_of, strange
from hub.client.log_state import LogState
from hub.client.rows import ChannelRow
from hub.errors import InputError, StillwatchError, VerificationError
from hub.model.codec import Json

ALARM: Final = "alarm"
WARNING: Final = "warning"


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something that a person must look at; `level` is `alarm` or `warning`."""

    level: str
    kind: str
    text: str


@dataclasses.dataclass
class Audit:
    """What an audit found.

    Attributes:
        channel: its name here.
        channel_id: its id, to compare with others'.
        manifest: version in force.
        messages: how many signed messages were verified again.
        log: origin of the log; None for a channel without one.
        entries: how many entries of the log were hashed again.
        problems: what is wrong, or lags.
        proofs: the proof files that are held.
    """

    channel: str
    channel_id: str
    manifest: int
    messages: int = 0
    log: str | None = None
    entries: int = 0
    problems: list[Problem] = dataclasses.field(default_factory=list)
    proofs: list[Json] = dataclasses.field(default_factory=list)

    def to_json(self) -> Json:
        """For `--json`."""
        return dataclasses.asdict(self)

    def alarm(self, kind: str, text: str) -> None:
        """Note what must not be."""
        self.problems.append(Problem(ALARM, kind, text))

    def warn(self, kind: str, text: str) -> None:
        """Note what lags."""
        self.problems.append(Problem(WARNING, kind, text))


def audit(
    home: Home,
    channel: ChannelRow,
    now: int,
    *,
    advance: Callable[[float], None] = lambda amount: None,
) -> Audit:
    """Check a channel's manifests, messages, log, gaps and silences.

    Args:
        home: the home; its lock is held.
        channel: what to look at.
        now: seconds UTC.
        advance: told of the messages that are done.

    Raises:
        ConflictError: nothing of this channel was received yet.
    """
    trusted = home.trusted(channel)
    found = Audit(channel.name, channel.channel_id, trusted.manifest.version)
    proofs = Evidence(home, channel, trusted, now)
    _check_messages(proofs, found, advance)
    with home.state.transaction():
        _check_log(proofs, found)
    _check_waiting(home, channel, proofs, found)
    _check_silence(proofs, found, now)
    for alarm in home.state.alarms():
        if alarm.channel_id == channel.channel_id:
            found.alarm("raised", alarm.text)
    found.proofs = [_said(path, now) for path in evidence.kept(home.path, channel.channel_id)]
    return found


def export(home: Home, channel: ChannelRow, folder: Path) -> list[Path]:
    """Copy a channel's proof files to a folder.

    Raises:
        StoreError: the disk refuses.
    """
    return [evidence.copy(path, folder) for path in evidence.kept(home.path, channel.channel_id)]


def _check_messages(proofs: Evidence, found: Audit, advance: Callable[[float], None]) -> None:
    """Every kept signature, and that each message follows the one before it."""
    if not proofs.facts.manifests:
        found.warn("manifests", "an earlier release did not keep them: proofs cannot be made")
    for item in proofs.signed.items():
        header = parse_header(item.header)
        card = proofs.trusted.card_of_key(header.pub or "")
        where = f"{header.t} {header.seq} of {(header.pub or '')[:16]}"
        try:
            if card is None:
                raise VerificationError("its sender's card is not held")
            data = label("message") + sha256(item.header) + bytes.fromhex(item.body_hash)
            card.signing.verify(item.signature, data)
        except VerificationError as error:
            found.alarm("held", f"{where}: {error.message}: this home was altered")
        before = proofs.trusted.digest_at(header.pub or "", (header.seq or 1) - 1)
        if before is not None and header.prev != before:
            found.alarm("held", f"{where} does not follow what was accepted before it")
        found.messages += 1
        advance(1)


def _check_log(proofs: Evidence, found: Audit) -> None:
    log = proofs.trusted.manifest.log
    if log is None:
        return
    found.log = log.origin
    state = LogState(proofs.home.state, found.channel_id)
    head = state.head(log.origin)
    if head is None or head.checkpoint is None:
        found.warn("log", "no checkpoint was verified yet: stillwatch pull")
        return
    try:
        signed = verify_checkpoint(head.checkpoint, log.verifier_key)
    except (InputError, VerificationError) as error:
        found.alarm("held", f"the checkpoint held is not the log's: {error.message}")
        return
    leaves = list(state.digests(log.origin, 0, head.frontier.size))
    found.entries = len(leaves)
    size, root = signed.checkpoint.size, signed.checkpoint.root
    if len(leaves) != size or root_of(map(leaf_hash, leaves)) != root:
        found.alarm("held", "the entries held do not lead to the checkpoint: this home was altered")
        return
    _check_entries(proofs, state, log.verifier_key, signed, found)


def _check_entries(
    proofs: Evidence, state: LogState, key: str, signed: SignedCheckpoint, found: Audit
) -> None:
    trusted, checkpoint = proofs.trusted, signed.checkpoint
    missing = [
        position
        for position, entry in state.missing(checkpoint.origin, checkpoint.size)
        if entry.hex() not in trusted.deleted
    ]
    if missing:
        proofs.withheld(key, signed.raw, leaves_of(state, signed), missing)
        found.alarm("withheld", f"the log has {len(missing)} messages that were not delivered")
    for each in strange(proofs, state, key, signed):
        found.alarm(each.kind, each.text)
    late = proofs.now - checkpoint.time
    if late > trusted.manifest.policy.staleness:
        proofs.stale(key, signed.raw)
        found.warn("stale-checkpoint", f"the newest checkpoint was {late} s old")


def _check_waiting(home: Home, channel: ChannelRow, proofs: Evidence, found: Audit) -> None:
    """What waits commits its sender to what is missing; without a log that is all there is."""
    for row in home.state.kept(channel.channel_id, "waiting"):
        message = parse_message(row.raw or b"")
        pub, seq = message.header.pub or "", message.header.seq or 1
        last = proofs.trusted.last(pub)
        if last is not None and last[0] + 1 == seq:
            text = f"{message.header.t} {seq} of {pub[:16]} waits for something that it names"
        else:
            text = f"{message.header.t} {seq} of {pub[:16]} waits for those before it"
            if proofs.trusted.manifest.log is None:
                proofs.withheld_before(SignedHeader.of(message, with_body=False))
        found.warn("waiting", text)


def _check_silence(proofs: Evidence, found: Audit, now: int) -> None:
    """Publishers that promised to say something by now."""
    trusted, home = proofs.trusted, proofs.home
    for member in trusted.manifest.members:
        card = trusted.cards.get(member.member)
        if card is None or Role.PUBLISH not in member.roles or member.member == home.member_id:
            continue
        item = proofs.signed.last_of(card.sign_id)
        if item is None:
            continue
        header = parse_header(item.header)
        every = trusted.manifest.policy.heartbeat
        promised = header.t is MessageType.HEARTBEAT and item.body is not None
        if promised and item.body is not None:
            every = parse_heartbeat(item.body).every
        late = now - header.ts - every
        if late <= CLOCK_SKEW:
            continue
        if promised:
            proofs.withheld_before(item)
        found.warn("silent", f"nothing from {member.member} for {late} s longer than it promised")


def _said(path: Path, now: int) -> Json:
    try:
        finding = evidence.check(path, now)
    except StillwatchError as error:
        return {"file": str(path), "kind": None, "conclusive": False, "problem": str(error)}
    return {
        "file": str(path),
        "kind": str(finding.kind),
        "conclusive": finding.conclusive,
        "problem": None,
    }
