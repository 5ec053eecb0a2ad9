"""Addresses: homes, offices, carriers, VPN exits and data centres of a made-up internet.

All of it lies in ranges that are set aside for tests and documents: 198.18.0.0/15 (RFC 2544) for
fixed lines and data centres, 100.64.0.0/10 (RFC 6598) for carriers, 192.0.2.0/24, 198.51.100.0/24
and 203.0.113.0/24 (RFC 5737) for VPN exits, 10.0.0.0/8 where fixed lines run out, and
2001:db8::/32 (RFC 3849) for IPv6.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]

NONE: Final = -1
"""No such place; a code below it names a pool."""
_SIX: Final = 1 << 40
_FIXED: Final = int(ipaddress.IPv4Address("198.18.0.0"))
_FIXED_SIZE: Final = 96 << 8
_DATA_CENTRES: Final = _FIXED + (256 << 8)
_SPILL: Final = int(ipaddress.IPv4Address("10.0.0.0"))
_CARRIER: Final = int(ipaddress.IPv4Address("100.64.0.0"))
_EXITS: Final = tuple(
    int(ipaddress.IPv4Address(start)) for start in ("192.0.2.0", "198.51.100.0", "203.0.113.0")
)
_SIX_PREFIX: Final = int(ipaddress.IPv6Address("2001:db8::"))


class Places:
    """Hands out addresses as numbers; `pool` makes many addresses one place.

    Args:
        rng: where they are drawn from.
        exits: VPN exit addresses, shared by honest users and clusters.
        carriers: addresses of the two mobile carriers together.
        six_share: fixed lines that have an IPv6 /64 instead of an IPv4 address.
    """

    def __init__(
        self, rng: np.random.Generator, *, exits: int, carriers: int, six_share: float
    ) -> None:
        self._rng = rng
        self._six_share = six_share
        self._fixed = _FIXED + rng.permutation(_FIXED_SIZE)
        self._fixed_used = 0
        self._spilled = 0
        self._nets = 0
        self._blocks = 0
        self.pools: list[Ints] = []
        numbers = np.arange(exits)
        self.exits = np.array(_EXITS)[numbers % 3] + 1 + numbers // 3
        self.vpn = self.pool(self.exits)
        half = max(1, carriers // 2)
        self.carriers = [
            self.pool(_CARRIER + (side << 16) + np.arange(half, dtype=np.int64)) for side in (0, 1)
        ]

    def pool(self, codes: Ints) -> int:
        """A place that is any one of these addresses at a time."""
        self.pools.append(np.asarray(codes, np.int64))
        return -1 - len(self.pools)

    def lines(self, count: int) -> Ints:
        """Fixed lines, each of its own: an address, or an IPv6 /64 whose host part changes."""
        six = self._rng.random(count) < self._six_share
        codes = np.empty(count, np.int64)
        codes[six] = self.nets(int(six.sum()))
        codes[~six] = self._fours(int((~six).sum()))
        return codes

    def nets(self, count: int) -> Ints:
        """IPv6 /64 networks, each of its own."""
        first = self._nets
        self._nets += count
        return _SIX + ((first + np.arange(count, dtype=np.int64)) << 16)

    def block(self, count: int) -> Ints:
        """Addresses of data centres, in /24 blocks begun for whoever asks and half empty."""
        first = self._blocks
        self._blocks += -(-count // 128)
        slots = self._rng.permutation(128 * (self._blocks - first))[:count]
        return _DATA_CENTRES + ((first + slots // 128) << 8) + 1 + (slots % 128)

    def neighbours(self, count: int, blocks: int) -> Ints:
        """Addresses of data centres beside those of `block`, in the first `blocks` of them."""
        slots = self._rng.permutation(120 * blocks)[:count]
        return _DATA_CENTRES + ((slots // 120) << 8) + 130 + (slots % 120)

    def _fours(self, count: int) -> Ints:
        left = self._fixed[self._fixed_used : self._fixed_used + count]
        self._fixed_used += len(left)
        missing = count - len(left)
        spilled = _SPILL + self._spilled + np.arange(missing, dtype=np.int64)
        self._spilled += missing
        return np.concatenate([left, spilled])


def resolve(pools: list[Ints], places: Ints, draws: NDArray[np.float64]) -> Ints:
    """The address behind each place; `draws` in [0, 1) choose among a pool's."""
    codes = places.copy()
    for number, pool in enumerate(pools):
        rows = np.flatnonzero(places == -2 - number)
        codes[rows] = pool[(draws[rows] * len(pool)).astype(np.int64)]
    return codes


def with_hosts(codes: Ints, hosts: Ints) -> Ints:
    """IPv6 networks with a host part; others as they are."""
    return np.where(codes >= _SIX, codes | (hosts & 0xFFFF), codes)


def spelled(codes: Ints) -> pa.StringArray:
    """Addresses as text; `NONE` gives null."""
    distinct, places = np.unique(codes, return_inverse=True)
    return pa.array(list(_spell(distinct.tolist())), pa.string()).take(pa.array(places))


def _spell(codes: Iterable[int]) -> Iterable[str | None]:
    for code in codes:
        if code < 0:
            yield None
        elif code < _SIX:
            yield f"{code >> 24}.{code >> 16 & 255}.{code >> 8 & 255}.{code & 255}"
        else:
            net, host = (code - _SIX) >> 16, code & 0xFFFF
            yield str(ipaddress.IPv6Address(_SIX_PREFIX | net << 64 | (host * 0x9E3779B9 + 1)))
