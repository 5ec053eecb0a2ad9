"""Oblivious tokens from fixed seeds: what a second implementation computes byte for byte.

`python -m tests.vectors.oprf.generate` writes tokens.json; a test makes it again and compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from hub.channel.custodians import key_info
from hub.fingerprint.oblivious import EvaluationKey, bucket, oblivious_token, token_input
from hub.fingerprint.tokens import FingerprintKey, token

FILE: Final = Path(__file__).with_name("tokens.json")
_CHANNEL: Final = "0123456789abcdef" * 4
_KEY: Final = FingerprintKey("0123456789abcdef.2026q4", bytes(range(32)))
_SEEDS: Final = {"custody-a.example": b"\xa1" * 32, "custody-b.example": b"\xb2" * 32}
_VALUES: Final = (
    ("email", "ada.abel@birchfield.example"),
    ("phone", "+12025550143"),
    ("payment-instrument", "pan:4111111111111111"),
    ("device", "32c6b01020754f19"),
    ("name", "zo\u00eb \u4e2d"),
)


def content() -> str:
    """The file's text."""
    keys = {
        name: EvaluationKey(seed, key_info(_CHANNEL, _KEY.key_id)) for name, seed in _SEEDS.items()
    }
    document = {
        "expect": "pass",
        "channel": _CHANNEL,
        "fingerprint_key": {"id": _KEY.key_id, "secret": _KEY.secret.hex()},
        "info": key_info(_CHANNEL, _KEY.key_id).hex(),
        "custodians": [
            {"id": name, "seed": _SEEDS[name].hex(), "public_key": key.public_key.hex()}
            for name, key in keys.items()
        ],
        "tokens": [_row(kind, value, list(keys.values())) for kind, value in _VALUES],
    }
    return json.dumps(document, indent=2) + "\n"


def _row(kind: str, value: str, keys: list[EvaluationKey]) -> dict[str, Any]:
    data = token_input(kind, value)
    outputs = [key.output(data) for key in keys]
    return {
        "kind": kind,
        "value": value,
        "input": data.hex(),
        "outputs": [each.hex() for each in outputs],
        "token": oblivious_token(_KEY, kind, *outputs),
        "keyed_token": token(_KEY, kind, value),
        "bucket_20": bucket(_KEY, kind, value, 20),
        "bucket_5": bucket(_KEY, kind, value, 5),
    }


if __name__ == "__main__":
    FILE.write_text(content())
