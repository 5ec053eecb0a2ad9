"""What custodians evaluated for this member, sealed at rest, so that nothing is asked twice.

One row holds a batch: for each value a name, which is a keyed hash of it, and the output. Neither
values nor outputs lie on the disk in clear. Outputs are kept until the fingerprint key has expired
and no live indicator needs them.
Source: schemas/channel-v1.md, "Oblivious tokens".
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from hub.channel.custodians import Custodian
from hub.channel.primitives import rest
from hub.client.home import Home
from hub.errors import StoreError, VerificationError
from hub.fingerprint.oblivious import OUTPUT_SIZE, token_input

_NAME_SIZE: Final = 16
_ENTRY: Final = _NAME_SIZE + OUTPUT_SIZE

Value = tuple[str, str]
"""A kind of identifier, and the identifier in its normal form."""


class Evaluations:
    """The outputs that one custodian gave for one fingerprint key.

    Args:
        home: its keyring's key seals the rows.
        channel_id: the channel.
        custodian: whose outputs.
    Raises:
        StoreError: the kept outputs were altered.
    """

    def __init__(self, home: Home, channel_id: str, custodian: Custodian) -> None:
        self._home = home
        self._place = (channel_id, custodian.key_id, custodian.custodian_id)
        self._context = b" ".join(
            [
                b"stillwatch evaluations 1",
                *(each.encode() for each in self._place),
                custodian.public_key.hex().encode(),
            ]
        )
        self._name_key = hmac.digest(home.keyring.state_key, self._context, "sha256")
        self._outputs: dict[bytes, bytes] = {}
        for row in home.state.rows(
            "SELECT sealed FROM evaluation WHERE channel_id=? AND key_id=? AND custodian_id=?",
            self._place,
        ):
            self._load(bytes(row[0]))

    def _load(self, sealed: bytes) -> None:
        try:
            plain = rest.unwrap_with_key(
                sealed, self._home.keyring.state_key, context=self._context
            )
        except VerificationError:
            # Another public key, or a damaged disk: what cannot be opened is asked again.
            raise StoreError(
                "kept evaluations cannot be opened",
                where=self._place[2],
                hint="stillwatch channel custodians NAME --forget drops them; they are asked again",
            ) from None
        for at in range(0, len(plain), _ENTRY):
            self._outputs[plain[at : at + _NAME_SIZE]] = plain[at + _NAME_SIZE : at + _ENTRY]

    def __len__(self) -> int:
        """How many values have an output."""
        return len(self._outputs)

    def _name(self, value: Value) -> bytes:
        return hmac.digest(self._name_key, token_input(*value), "sha256")[:_NAME_SIZE]

    def get(self, value: Value) -> bytes | None:
        """The output for a value, 64 bytes; None when it was not asked."""
        return self._outputs.get(self._name(value))

    def add(self, values: Sequence[Value], outputs: Iterable[bytes], at: int) -> None:
        """Keep verified outputs, durably.

        Args:
            values: distinct.
            outputs: 64 bytes each, in the order of the values.
            at: UTC seconds.
        """
        made = dict(zip(map(self._name, values), outputs, strict=True))
        plain = b"".join(name + output for name, output in made.items())
        sealed = rest.wrap_with_key(plain, self._home.keyring.state_key, context=self._context)
        self._home.state.run(
            "INSERT INTO evaluation (channel_id, key_id, custodian_id, sealed, added_at)"
            " VALUES (?,?,?,?,?)",
            (*self._place, sealed, at),
        )
        self._outputs |= made


def forget(home: Home, channel_id: str, *, keep: Iterable[str] = ()) -> int:
    """Erase the outputs under all fingerprint keys but those to keep; returns how many batches."""
    kept = sorted(keep)
    marks = ",".join("?" * len(kept))
    return home.state.run(
        f"DELETE FROM evaluation WHERE channel_id=? AND key_id NOT IN ({marks})",
        (channel_id, *kept),
    ).rowcount
