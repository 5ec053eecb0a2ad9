"""What oblivious tokens cost: members and two custodians on one core, proofs in batches.

Beside keyed tokens, which any holder of the fingerprint key can enumerate, and beside one proof a
token. Times are those of the processor, so that what else runs on the machine does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from voprf import ristretto

from hub.channel.custodians import (
    Custodian,
    Quota,
    key_info,
    make_answer,
    make_request,
    parse_answer,
    parse_request,
)
from hub.fingerprint.oblivious import (
    MAX_BATCH,
    Blinding,
    EvaluationKey,
    blind,
    oblivious_token,
    token_input,
)
from hub.fingerprint.tokens import FingerprintKey, token
from tests.bench.table import Row
from tests.unit.channel.cast import NOW, Person, seed

T = TypeVar("T")

TOKENS: Final = 100_000
_FLOOR_SECONDS: Final = 60.0
_SINGLY: Final = 2_048
_CHANNEL: Final = "0123456789abcdef" * 4
_KEY: Final = FingerprintKey("0123456789abcdef.2027q1", seed("fingerprint key", 32))
_KIND: Final = "email"
_QUOTA: Final = Quota(day=0, left=0, resets=0, burst=0, burst_left=0)


class _Watch:
    """Processor seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, action: Callable[[], T]) -> T:
        began = time.process_time()
        result = action()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began
        return result


def measure() -> list[Row]:
    """Rows: 100,000 tokens in all, each side's part, keyed tokens, one proof a token, growth."""
    values = [f"user-{number}@mail.example" for number in range(TOKENS)]
    keys = [EvaluationKey(seed(name, 32), key_info(_CHANNEL, _KEY.key_id)) for name in "ab"]
    watch, made = _obliviously(values, keys)
    whole = sum(watch.seconds.values())
    keyed = _Watch()
    plain = keyed.time("keyed", lambda: [token(_KEY, _KIND, value) for value in values])
    assert len(set(made)) == len(set(plain)) == TOKENS
    singly = _singly(values[:_SINGLY], keys)
    each = f"{TOKENS:,} tokens under two custodians, a proof for {MAX_BATCH:,}"
    member = watch.seconds["blind"] + watch.seconds["finalize"] + watch.seconds["combine"]
    custodian = watch.seconds["evaluate"] / 2
    small, large = (_growth(values, keys, count) for count in (256, MAX_BATCH))
    return [
        Row(
            each,
            f"{whole:.1f} s",
            f"{singly * TOKENS:.1f} s with a proof each, from {_SINGLY:,}",
            singly * TOKENS / whole,
            f"<= {_FLOOR_SECONDS:g} s",
        ),
        Row("of it the member's part", f"{member:.1f} s", "", None, ""),
        Row("of it each custodian's part", f"{custodian:.1f} s", "", None, ""),
        Row("of it signing, framing, parsing", f"{watch.seconds['wire']:.2f} s", "", None, ""),
        Row(
            f"{TOKENS:,} keyed tokens, for whom that is enough",
            f"{keyed.seconds['keyed']:.2f} s",
            f"{whole:.1f} s oblivious",
            whole / keyed.seconds["keyed"],
            "",
        ),
        Row(
            "microseconds a token, in batches of 256 and of 4,096",
            f"{small:.0f} and {large:.0f} us",
            "",
            None,
            "",
        ),
    ]


def _obliviously(values: Sequence[str], keys: Sequence[EvaluationKey]) -> tuple[_Watch, list[str]]:
    watch, made = _Watch(), []
    for at in range(0, len(values), MAX_BATCH):
        made += _batch(values[at : at + MAX_BATCH], keys, watch)
    return watch, made


def _batch(values: Sequence[str], keys: Sequence[EvaluationKey], watch: _Watch) -> list[str]:
    blinding = watch.time("blind", lambda: blind([token_input(_KIND, value) for value in values]))
    outputs = [_asked(blinding, name, key, watch) for name, key in zip("ab", keys, strict=True)]
    return watch.time(
        "combine",
        lambda: [oblivious_token(_KEY, _KIND, *pair) for pair in zip(*outputs, strict=True)],
    )


def _asked(blinding: Blinding, name: str, key: EvaluationKey, watch: _Watch) -> list[bytes]:
    """One custodian's outputs, over the bytes that go to it and come back."""
    row = Custodian(name * 2, f"https://{name}.example", _KEY.key_id, key.public_key, 0, NOW)
    signing = Person("lab").signing
    request = watch.time(
        "wire",
        lambda: make_request(
            signing, row, blinding.elements, channel=_CHANNEL, man=_CHANNEL, now=NOW
        ),
    )
    asked = watch.time("wire", lambda: parse_request(request.raw))
    watch.time("wire", lambda: asked.verify(signing.public))
    found = watch.time("evaluate", lambda: key.evaluate(asked.elements))
    raw = watch.time("wire", lambda: make_answer(asked, found.elements, found.proof, _QUOTA))
    answer = watch.time("wire", lambda: parse_answer(raw, request))
    return watch.time(
        "finalize",
        lambda: blinding.finalize(answer.elements, answer.proof, key.public_key, where=name),
    )


def _growth(values: Sequence[str], keys: Sequence[EvaluationKey], count: int) -> float:
    """Microseconds a token in batches of this size."""
    watch = _Watch()
    for at in range(0, MAX_BATCH, count):
        _batch(values[at : at + count], keys, watch)
    return sum(watch.seconds.values()) / MAX_BATCH * 1e6


def _singly(values: Sequence[str], keys: Sequence[EvaluationKey]) -> float:
    """Seconds a token when every evaluation has a proof of its own."""
    evaluators = [
        ristretto.Evaluator.from_seed(seed(name, 32), key_info(_CHANNEL, _KEY.key_id))
        for name in "ab"
    ]
    publics = [ristretto.PublicKey.deserialize(key.public_key) for key in keys]

    def all_of_them() -> None:
        for value in values:
            client, blinded = ristretto.Client.blind(token_input(_KIND, value))
            outputs = [
                client.finalize(evaluator.evaluate(blinded), public)
                for evaluator, public in zip(evaluators, publics, strict=True)
            ]
            oblivious_token(_KEY, _KIND, *outputs)

    watch = _Watch()
    watch.time("singly", all_of_them)
    return watch.seconds["singly"] / len(values)
