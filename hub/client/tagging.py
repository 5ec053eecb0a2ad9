"""Oblivious tokens of a subscriber's customers: asked about only where a bucket occurs.

Stands behind the seam of `hub.traffic.accounts`: identifiers are noted while the customer table is
read; at its end the custodians are asked, in batches, about those that a live indicator may mean.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from hub.client.custodian_port import Reach, reach
from hub.client.evaluations import Value
from hub.client.known_tokens import KnownTokens, Remaining, remaining
from hub.client.oblivious import Advance, GoneError, QuotaError, evaluate
from hub.client.rows import ChannelRow
from hub.client.work import Desk
from hub.errors import ConflictError, TransportError
from hub.fingerprint.oblivious import bucket
from hub.fingerprint.tokens import FingerprintKey
from hub.model.buckets import Buckets
from hub.model.codec import Json
from hub.model.fields import MAX_BUCKET_BITS

Progress = Callable[[int], AbstractContextManager[Advance]]
"""Shows that a number of identifiers is being asked about."""


def _quiet(total: int) -> AbstractContextManager[Advance]:
    return nullcontext(lambda amount: None)


@dataclasses.dataclass
class Asked:
    """What became of the identifiers of a customer table.

    Attributes:
        identifiers: of kinds that have oblivious indicators.
        in_buckets: of them, those whose bucket an indicator names.
        cached: tokens that were known here.
        asked: tokens that the custodians were asked for now.
        left: tokens that are still unknown although a live indicator may mean them.
        reasons: why, in words.
        quota: what the custodians told of our quota.
    """

    identifiers: int = 0
    in_buckets: int = 0
    cached: int = 0
    asked: int = 0
    left: int = 0
    reasons: list[str] = dataclasses.field(default_factory=list)
    quota: list[Remaining] = dataclasses.field(default_factory=list)

    def to_json(self) -> Json:
        """The counts as JSON."""
        found = dataclasses.asdict(self)
        found["quota_left"] = {each.custodian_id: each.left for each in self.quota}
        del found["quota"]
        return found


@dataclasses.dataclass
class _Key:
    """One fingerprint key under which oblivious indicators were made."""

    channel: ChannelRow
    key: FingerprintKey
    known: KnownTokens | None
    places: dict[Value, int] = dataclasses.field(default_factory=dict)
    live: dict[Value, None] = dataclasses.field(default_factory=dict)


class Tagging:
    """The tokens of customers that custodians evaluate.

    Args:
        desk: the home that holds keys and kept evaluations.
        buckets: of the indicators that are matched.
        ask: whether custodians may be asked; else only what is kept counts.
        reach, sleep: given by tests.
        progress: shown while they are asked.
    """

    def __init__(
        self,
        desk: Desk,
        buckets: Buckets,
        *,
        ask: bool = True,
        reach: Reach = reach,
        progress: Progress = _quiet,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._desk, self._buckets, self._ask = desk, buckets, ask
        self._reach, self._progress, self._sleep = reach, progress, sleep
        self._keys: dict[str, _Key] = {}
        self._of_kind: dict[str, list[str]] = {}
        self._count = 0
        self.asked = Asked()
        # Kind and key of what a later run may still get; of a key that is gone nobody will.
        self.incomplete: set[tuple[str, str]] = set()
        self._digest = hashlib.sha256()
        self._find_keys()

    @property
    def digest(self) -> str:
        """Tells apart two sets of tokens; after `tokens`."""
        return self._digest.hexdigest()

    def _find_keys(self) -> None:
        home = self._desk.home
        held: dict[str, tuple[ChannelRow, FingerprintKey]] = {}
        for channel in home.state.channels():
            for each in home.fingerprint_secrets(channel.channel_id):
                held[each.key_id] = channel, FingerprintKey(each.key_id, each.secret)
        for kind, key_id in self._buckets.pairs():
            if key_id not in held:
                continue
            self._of_kind.setdefault(kind, []).append(key_id)
            if key_id not in self._keys:
                channel, key = held[key_id]
                try:
                    known = KnownTokens(home, channel.channel_id, key)
                except ConflictError:
                    known = None
                self._keys[key_id] = _Key(channel, key, known)

    def place(self, kind: str, normalised: str) -> Sequence[int]:
        """Take note of an identifier: where its tokens will stand in `tokens`."""
        key_ids = self._of_kind.get(kind)
        if key_ids is None:
            return ()
        self.asked.identifiers += 1
        value, found = (kind, normalised), []
        for key_id in key_ids:
            each = self._keys[key_id]
            place = each.places.get(value)
            if place is None:
                number = bucket(each.key, kind, normalised, MAX_BUCKET_BITS)
                live = self._buckets.live(kind, key_id, number)
                if live is None:
                    continue
                place = each.places[value] = self._count
                self._count += 1
                if live:
                    each.live[value] = None
            found.append(place)
        self.asked.in_buckets += bool(found)
        return found

    def tokens(self) -> Sequence[str | None]:
        """The tokens of all places, after the custodians were asked for those not known.

        Raises:
            VerificationError, AccessError, ConflictError: a custodian answers with another key, or
                refuses this member; what it evaluated before is kept. One that is away, or whose
                quota is used up, leaves tokens for a later run.
        """
        found: list[str | None] = [None] * self._count
        for key_id, each in self._keys.items():
            if each.known is None:
                self._leave(key_id, list(each.live), f"no custodians of {key_id} are known here")
                continue
            missing = each.known.missing(each.live)
            self.asked.cached += len(each.live) - len(missing)
            if missing:
                self._complete(key_id, each, each.known, missing)
            for value, place in each.places.items():
                found[place] = each.known.token(value)
            now = self._desk.clock()
            self.asked.quota += remaining(
                self._desk.home, each.channel.channel_id, each.known, now=now
            )
        for token in found:
            self._digest.update((token or "-").encode() + b"\n")
        return found

    def _complete(
        self, key_id: str, each: _Key, known: KnownTokens, missing: Sequence[Value]
    ) -> None:
        if not self._ask:
            self._leave(key_id, missing, "the custodians were not asked")
            return
        try:
            with self._progress(len(missing)) as advance:
                evaluate(
                    self._desk,
                    each.channel,
                    known,
                    missing,
                    advance=advance,
                    reach=self._reach,
                    sleep=self._sleep,
                )
        except (QuotaError, GoneError, TransportError) as error:
            # What a foreign service leaves open must not stop an evening's matching of the rest.
            hint = f"; {error.hint}" if error.hint else ""
            left = known.missing(missing)
            due = not isinstance(error, GoneError)
            self._leave(key_id, left, f"{error.where}: {error.message}{hint}", due=due)
        self.asked.asked += len(missing) - len(known.missing(missing))

    def _leave(
        self, key_id: str, values: Sequence[Value], reason: str, *, due: bool = True
    ) -> None:
        if not values:
            return
        self.asked.left += len(values)
        self.asked.reasons.append(reason)
        if due:
            self.incomplete |= {(kind, key_id) for kind, _ in values}
