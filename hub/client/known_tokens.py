"""The oblivious tokens that this home knows already, without asking anybody.

Source: schemas/channel-v1.md, "Oblivious tokens".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from hub.channel.custodians import Custodian
from hub.client.custodians import Custodians
from hub.client.evaluations import Evaluations, Value
from hub.client.home import Home
from hub.errors import ConflictError
from hub.fingerprint.oblivious import oblivious_token
from hub.fingerprint.tokens import FingerprintKey


class KnownTokens:
    """The oblivious tokens under one fingerprint key that need no custodian any more.

    Args:
        home: holds what was evaluated.
        channel_id: the channel.
        key: a fingerprint key that custodians serve.
    Raises:
        ConflictError: no custodians serve it.
    """

    def __init__(self, home: Home, channel_id: str, key: FingerprintKey) -> None:
        self.key = key
        pair = Custodians(home.state, channel_id).of(key.key_id)
        if len(pair) != 2:
            raise ConflictError(
                "no custodians serve this fingerprint key yet",
                where=key.key_id,
                hint="an owner states them: stillwatch channel custodians NAME --row FILE --row "
                "FILE; then stillwatch pull",
            )
        self.custodians: tuple[Custodian, Custodian] = (pair[0], pair[1])
        self.outputs = (
            Evaluations(home, channel_id, pair[0]),
            Evaluations(home, channel_id, pair[1]),
        )

    def token(self, value: Value) -> str | None:
        """The token of a value; None when a custodian has yet to evaluate it."""
        first, second = (each.get(value) for each in self.outputs)
        if first is None or second is None:
            return None
        return oblivious_token(self.key, value[0], first, second)

    def missing(self, values: Iterable[Value]) -> list[Value]:
        """Those that a custodian has yet to evaluate, each once, in their order."""
        return [each for each in dict.fromkeys(values) if self.token(each) is None]


@dataclasses.dataclass(frozen=True)
class Remaining:
    """What the custodians told last of this member's quota.

    Attributes:
        custodian_id: which of them.
        left: elements left today; None when nothing is known.
    """

    custodian_id: str
    left: int | None


def remaining(home: Home, channel_id: str, known: KnownTokens, *, now: int) -> list[Remaining]:
    """The quota that is left at each custodian, as far as it told."""
    held = Custodians(home.state, channel_id)
    found = []
    for custodian in known.custodians:
        told = held.told(custodian.custodian_id, now)
        left = None if told is None else told.quota.left
        found.append(Remaining(custodian.custodian_id, left))
    return found
