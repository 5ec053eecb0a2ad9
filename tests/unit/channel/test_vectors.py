"""The vectors: what is deterministic is made again, what is recorded is verified again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.channel.epoch import EpochSecrets, unwrap
from hub.channel.header import Audience, MessageType, parse_message
from hub.channel.open import open_data, open_direct, open_key_set
from hub.channel.primitives.kem import KemPrivate
from hub.channel.verify import Accepted, NotYetError, TrustedChannel
from hub.errors import InputError, VerificationError
from tests.vectors.channel.generate import HERE, SCENARIOS, deterministic


def test_the_deterministic_vectors_are_those_of_the_generator() -> None:
    stored = json.loads((HERE / "deterministic.json").read_text(encoding="utf-8"))
    assert deterministic() == stored


def test_every_scenario_is_recorded() -> None:
    assert {path.stem for path in HERE.glob("*.txt")} == {"opening", *SCENARIOS}


def read(path: Path) -> tuple[dict[str, str], list[bytes]]:
    head, _, body = path.read_text(encoding="ascii").partition("\n\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    return fields, [base64.b64decode(line, validate=True) for line in body.split()]


def outcome(fields: dict[str, str], raws: list[bytes]) -> str:
    """What happens to the messages, in the words of the `expect:` line."""
    now, accept = int(fields["now"]), int(fields["accept"])
    kem = KemPrivate.from_seed(bytes.fromhex(fields["kem seed"]))
    _, opening_raws = read(HERE / "opening.txt")
    trusted = TrustedChannel.from_genesis(opening_raws[0], owner_roots=None, now=now)
    before = [*opening_raws[1:], *raws[:accept]]
    accepted = [trusted.accept(raw, now=now) for raw in before]
    attempt = raws[accept:]
    try:
        accepted += [trusted.accept(raw, now=now) for raw in attempt]
    except (InputError, VerificationError) as error:
        return f"{'waits' if isinstance(error, NotYetError) else 'refused'}: {error.message}"
    failure = next(opening(trusted, kem, accepted), None)
    if failure is not None:
        return failure
    return ", alarm: ".join(["accept", *(alarm.kind for alarm in trusted.alarms)])


def opening(trusted: TrustedChannel, kem: KemPrivate, accepted: list[Accepted]) -> Iterator[str]:
    secrets: dict[int | None, EpochSecrets] = {}
    known: dict[tuple[str, str], bytes] = {}
    for item in accepted:
        header = item.message.header
        held = secrets.get(header.ep)
        try:
            if header.t is MessageType.EPOCH:
                secrets[header.ep] = unwrap(trusted, item.message.raw, kem)
            elif header.aud is Audience.DIRECT:
                open_direct(trusted, item, kem)
            elif held is None or held.detail is None:
                continue
            elif header.t is MessageType.DATA:
                open_data(trusted, item, held)
            elif header.t is MessageType.KEYS:
                found = open_key_set(trusted, item, held, custodians=known)
                known |= {
                    (row.key_id, row.custodian_id): row.public_key for row in found.custodians
                }
        except (InputError, VerificationError) as error:
            step = "unwrap" if header.t is MessageType.EPOCH else "open"
            yield f"{step}: refused: {error.message}"


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_recorded_scenario_ends_as_it_says(name: str) -> None:
    fields, raws = read(HERE / f"{name}.txt")
    found, expected = outcome(fields, raws), fields["expect"]
    if expected.startswith("accept"):
        assert found == expected
    kind, _, text = expected.rpartition(": ")
    assert found.startswith(kind)
    assert text in found


def test_the_recorded_channel_is_whole() -> None:
    _, opening_raws = read(HERE / "opening.txt")
    _, raws = read(HERE / "accepted-whole-channel.txt")
    kinds = {parse_message(raw).header.t for raw in [*opening_raws, *raws]}
    assert kinds == set(MessageType)
