"""The customer table: e-mail, phone, payment, device and sign-up of each account."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa

from tests.hydra.places import Ints
from tests.hydra.roster import Roster


def _words(text: str, between: str = " ") -> tuple[str, ...]:
    return tuple(text.split(between))


_PHONES: Final = 79_900
_FIRST: Final = _words(
    "ada ben cora dev elin faye goro hana ivo jude kira lars mina nils oona pia quin rosa sami "
    "tove uma vera wim xena yuri zoe"
)
_LAST: Final = _words(
    "ash birch cole dahl eder frost grove holm ivers jansen kato lund moss nash okoro park "
    "quist reyes stone tanaka ueda voss wren xu yates zander"
)


def ids(prefix: str, numbers: Ints) -> pa.StringArray:
    """Opaque ids; the same number always gives the same one, a negative number null.

    Multiplying by an odd constant modulo 2^40 is a permutation: distinct numbers stay distinct.
    """
    mixed = (numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) & np.uint64(2**40 - 1)
    negative = (numbers < 0).tolist()
    return pa.array(
        [
            None if none else f"{prefix}-{number:010x}"
            for none, number in zip(negative, mixed.tolist(), strict=True)
        ],
        pa.string(),
    )


def customers(
    rng: np.random.Generator, roster: Roster, names: pa.StringArray, start: datetime
) -> pa.Table:
    """One row per account.

    Args:
        names: account ids, by row of the roster.
        start: the log's first instant, from which sign-ups are counted.
    """
    first = int(start.timestamp() * 1_000_000)
    signup = first + (roster.signup * 86_400_000_000).astype(np.int64)
    # Numbers that the North American plan sets aside for fiction: 555-0100 to 555-0199.
    number: list[int] = rng.permutation(_PHONES)[: len(roster)].tolist()
    given = rng.random(len(number)) < 0.6
    phones = [
        f"+1{201 + n // 100}55501{n % 100:02d}" if known else None
        for n, known in zip(number, given.tolist(), strict=True)
    ] + [None] * (len(roster) - len(number))
    return pa.table(
        {
            "account_id": names,
            "email": pa.array(_mails(rng, roster), pa.string()),
            "phone": pa.array(phones, pa.string()),
            "payment": ids("card", roster.payment),
            "device": ids("device", roster.device),
            "signup_time": pa.array(signup, pa.timestamp("us", tz="UTC")),
        }
    )


def _mails(rng: np.random.Generator, roster: Roster) -> list[str]:
    picks = rng.integers(0, len(_FIRST), (len(roster), 2)).tolist()
    digits = rng.integers(10, 10_000, len(roster)).tolist()
    return [
        f"{_local(style, _FIRST[a], _LAST[b], digit, row)}@{_domain(domain)}"
        for row, ((a, b), digit, style, domain) in enumerate(
            zip(picks, digits, roster.style.tolist(), roster.domain.tolist(), strict=True)
        )
    ]


def _local(style: int, first: str, last: str, digit: int, row: int) -> str:
    unique = f"{row:x}"
    if style == 0:
        return f"{first}.{last}.{unique}"
    if style == 1:
        return f"{first}{last}{digit}{unique}"
    if style == 2:
        return f"{first[0]}{last}{unique}"
    if style == 3:
        return f"{last}_{first}{digit}x{unique}"
    return f"{first}{unique}"


def _domain(number: int) -> str:
    return f"mail{number}.example" if number < 100 else f"firm{number}.example"
