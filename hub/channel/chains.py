"""What was accepted, per signing key: a gapless chain of digests, and what was refused in it.

Source: schemas/channel-v1.md, "Chains".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hub.channel.fields import from_base64, to_base64
from hub.channel.primitives.hash import HASH_SIZE, is_hash, unhex
from hub.errors import InputError
from hub.model.codec import Json

_MAX_STATE: Final = 2**30


@dataclass
class Chain:
    """The messages of one signing key, in order.

    Args:
        digests: the digests one after another, 32 bytes each.
        refused: position to the reason why a message's content is not used, though it is part of
            the chain.
    """

    digests: bytearray = field(default_factory=bytearray)
    refused: dict[int, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Position of the last message; 0 if there is none."""
        return len(self.digests) // HASH_SIZE

    def at(self, seq: int) -> str | None:
        """Digest of the message at a position from 1, or None."""
        found = bytes(self.digests[(seq - 1) * HASH_SIZE : seq * HASH_SIZE]) if seq >= 1 else b""
        return found.hex() if found else None


class Chains:
    """The chains of every signing key of a channel."""

    def __init__(self) -> None:
        self._chains: dict[str, Chain] = {}
        self._deleted: dict[tuple[str, int], str] = {}

    def copy(self) -> Chains:
        """Another that grows on its own."""
        made = Chains()
        made._chains = {
            pub: Chain(bytearray(chain.digests), dict(chain.refused))
            for pub, chain in self._chains.items()
        }
        made._deleted = dict(self._deleted)
        return made

    def last(self, pub: str) -> tuple[int, str] | None:
        """Position and digest of the last message of a key, or None."""
        chain = self._chains.get(pub)
        if chain is None or not chain.length:
            return None
        digest = chain.at(chain.length)
        return None if digest is None else (chain.length, digest)

    def position(self, pub: str) -> tuple[int, str | None]:
        """Position and predecessor of the next message of a key."""
        last = self.last(pub)
        return (1, None) if last is None else (last[0] + 1, last[1])

    def at(self, pub: str, seq: int) -> str | None:
        """Digest of the message of a key at a position, or None."""
        chain = self._chains.get(pub)
        return None if chain is None else chain.at(seq)

    def refusal(self, pub: str, seq: int) -> str | None:
        """Why the content of an accepted position is not used, or None."""
        chain = self._chains.get(pub)
        return None if chain is None else chain.refused.get(seq)

    def add(self, pub: str, seq: int, digest: str, refused: str | None = None) -> None:
        """Append a message; positions that it skips are known to be deleted.

        Args:
            pub: signing key id.
            seq: its position.
            digest: its digest.
            refused: why its content is not used.
        """
        chain = self._chains.setdefault(pub, Chain())
        for skipped in range(chain.length + 1, seq):
            # Nobody here checked the content, so it must not count if it turns up after all.
            chain.digests += unhex(self._deleted[pub, skipped])
            chain.refused[skipped] = "its publisher deleted it"
        chain.digests += unhex(digest)
        if refused is not None:
            chain.refused[seq] = refused

    def delete(self, pub: str, seq: int, digest: str) -> None:
        """Remember that the publisher had a message deleted."""
        self._deleted[pub, seq] = digest

    def deletion(self, pub: str, seq: int) -> str | None:
        """Digest of a message that its publisher had deleted, or None."""
        return self._deleted.get((pub, seq))

    def bridge(self, pub: str, seq: int) -> tuple[int, str] | None:
        """The end of a chain when deleted messages up to `seq - 1` are counted in.

        Returns:
            Position and digest of the message before `seq`, or None while one is missing.
        """
        last = self.last(pub)
        position = 0 if last is None else last[0]
        if any((pub, missing) not in self._deleted for missing in range(position + 1, seq)):
            return None
        return (seq - 1, self._deleted[pub, seq - 1]) if seq - 1 > position else last

    @property
    def deleted(self) -> frozenset[str]:
        """Digests of the messages that their publishers had deleted."""
        return frozenset(self._deleted.values())

    def to_json(self) -> Json:
        """The durable form."""
        return {
            "chains": {
                pub: {
                    "digests": to_base64(bytes(chain.digests)),
                    "refused": {str(seq): why for seq, why in chain.refused.items()},
                }
                for pub, chain in self._chains.items()
            },
            "deleted": [[pub, seq, digest] for (pub, seq), digest in self._deleted.items()],
        }

    @classmethod
    def from_json(cls, value: Any) -> Chains:
        """What `to_json` gave.

        Raises:
            InputError: it is not of this form.
        """
        chains = cls()
        try:
            for pub, row in value["chains"].items():
                digests = from_base64(row["digests"], where="state.chains", most=_MAX_STATE)
                if not is_hash(pub) or len(digests) % HASH_SIZE:
                    raise InputError("a chain is not whole", where="state.chains")
                refused = {int(seq): str(why) for seq, why in row["refused"].items()}
                chains._chains[pub] = Chain(bytearray(digests), refused)
            for pub, seq, digest in value["deleted"]:
                chains._deleted[pub, seq] = digest
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError("not a state of chains", where="state") from None
        return chains
