"""The form in which each kind of identifier is published, by the channel's policy.

`keyed`: a token under the fingerprint key. `oblivious`: custodians take part, so that holders of
the key cannot enumerate. `none`: not at all.
Source: schemas/channel-v1.md, "Fingerprint keys".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hub.channel.policy import Policy
from hub.client.custodians import Custodians
from hub.client.home import Home
from hub.client.known_tokens import KnownTokens
from hub.client.rows import ChannelRow
from hub.fingerprint.tokens import FingerprintKey
from hub.model.buckets import bits_for, bucket_of
from hub.model.codec import Json
from hub.model.extension import INDICATOR_CONTROLS
from hub.model.fields import MAX_BUCKET_BITS
from hub.model.identifiers import parse_timestamp

KEYED: Final = "keyed"
OBLIVIOUS: Final = "oblivious"
NONE: Final = "none"

KEYED_ALWAYS: Final = frozenset({"api-key", "device-certificate"})
"""Kinds that nobody can enumerate: custodians would add nothing."""


@dataclass(frozen=True)
class Forms:
    """The forms by kind of token.

    Args:
        stated: what the policy says; kinds that it does not name are keyed.
    """

    stated: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_policy(cls, policy: Policy) -> Forms:
        """The forms that a channel's policy asks for."""
        return cls(dict(policy.fingerprints))

    def of(self, kind: str) -> str:
        """The form of a kind."""
        form = self.stated.get(kind, KEYED)
        return KEYED if form == OBLIVIOUS and kind in KEYED_ALWAYS else form

    @property
    def asks(self) -> bool:
        """Whether any kind needs custodians."""
        return any(self.of(kind) == OBLIVIOUS for kind in self.stated)

    @property
    def overruled(self) -> tuple[str, ...]:
        """Kinds that the policy wants oblivious and that stay keyed."""
        return tuple(sorted(kind for kind in KEYED_ALWAYS if self.stated.get(kind) == OBLIVIOUS))


def forms_of(home: Home, channel: ChannelRow) -> Forms:
    """The forms in a channel, by its manifest in force."""
    if channel.trusted is None:
        return Forms()
    return Forms.of_policy(home.trusted(channel).manifest.policy)


def known_tokens(home: Home, channel: ChannelRow) -> KnownTokens | None:
    """The oblivious tokens under the newest live key that custodians serve, if one does."""
    held = Custodians(home.state, channel.channel_id)
    for key in reversed(home.fingerprint_secrets(channel.channel_id)):
        if key.live and held.of(key.key_id):
            return KnownTokens(home, channel.channel_id, FingerprintKey(key.key_id, key.secret))
    return None


def fit_buckets(
    made: Iterable[Json],
    held: Iterable[Json],
    own: Mapping[str, Json],
    *,
    pending: Mapping[str, int],
    now: datetime,
) -> None:
    """Cut the buckets of new oblivious indicators to the length that the live tags need.

    A bucket that was published before keeps its length while that is enough.

    Args:
        made: new indicators, with buckets of the greatest length; changed in place.
        held: every indicator of the channel.
        own: versions that were published before, by id.
        pending: tokens by kind that are made as well, but not known yet.
        now: what has expired by then is not live.
    Raises:
        InputError: there are more live tags than buckets bear.
    """
    fresh = [(each, bucket) for each in made if (bucket := bucket_of(each)) is not None]
    if not fresh and not pending:
        return
    names = {str(each["id"]) for each, _ in fresh}
    live = Counter(
        bucket.kind
        for each in held
        if str(each["id"]) not in names
        and each.get("revoked") is not True
        and parse_timestamp(str(each["valid_until"])) > now
        and (bucket := bucket_of(each)) is not None
    )
    live.update(bucket.kind for _, bucket in fresh)
    live.update(pending)
    bits = {kind: bits_for(number) for kind, number in live.items()}
    for each, bucket in fresh:
        before = bucket_of(own.get(str(each["id"]), {}))
        length = bits[bucket.kind]
        if before is not None and before.key_id == bucket.key_id:
            length = max(length, before.bits)
        each["extensions"][INDICATOR_CONTROLS] |= {
            "bucket_bits": length,
            "bucket": bucket.number >> (MAX_BUCKET_BITS - length),
        }
