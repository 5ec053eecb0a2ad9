"""Records what does not travel as a message of a channel, one scenario a file in `objects/`.

`python -m tests.vectors.channel.freeze_objects` writes the scenarios that have no file yet; a file
is only ever opened and verified. Header lines, a blank line, then one item a line in base64.
`format:` says what the items are, `expect:` what comes of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from hub.channel.custodians import key_info, make_answer, make_request
from hub.channel.fields import to_base64
from hub.channel.invite import Invitation, join_request, new_invitation
from hub.channel.log.checkpoint import cosign
from hub.channel.log.note import add_lines
from hub.channel.manifest import DAY, Manifest, Role, genesis, next_version
from hub.channel.primitives.hash import Reader, label, lp, sha256
from hub.channel.primitives.sign import NotePrivate
from hub.channel.proposal import Proposal, propose
from hub.channel.recovery import recovery_lines
from hub.client import backup_file
from hub.client.backup_file import KEYRING, STATE, Entry, Index
from hub.fingerprint.oblivious import EvaluationKey, token_input
from tests.interop import oprf
from tests.unit.channel.cast import NOW, PUBLISHER, READER, Person, seed
from tests.vectors.channel import parts
from tests.vectors.channel.frozen_proofs import PROOFS, Made
from tests.vectors.channel.generate import HERE
from tests.vectors.channel.later_scenarios import re_enrolled

OBJECTS: Final = HERE / "objects"
LAB, PROVIDER, SECOND = Person("lab"), Person("provider"), Person("second owner")
CHANNEL: Final = "0123456789abcdef" * 4
RECOVERY_KEY: Final = seed("recovery key", 32)
VALUES: Final = ("a@b.example", "c@d.example")


@dataclasses.dataclass(frozen=True)
class Frozen:
    """One scenario.

    Args:
        expect: what comes of it.
        items: the bytes.
        fields: what its reader knows besides.
    """

    expect: str
    items: Sequence[bytes]
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def text(self, name: str) -> str:
        """The file."""
        kind = name.partition("-")[0] if not name.startswith("custodian") else "custodian"
        lines = [f"scenario: {name}", f"expect: {self.expect}", f"format: {kind}", f"now: {NOW}"]
        lines += [f"{key}: {value}" for key, value in self.fields.items()]
        return "\n".join([*lines, "", *map(to_base64, self.items)]) + "\n"


# -- first contact -------------------------------------------------------------------------------


def _invitation() -> Invitation:
    return new_invitation(
        channel=CHANNEL,
        owners=[LAB.root.public.id],
        api_root="https://hub.example/stillwatch/",
        collection="0e2b7f3c-5a55-4f0e-8d4a-1f7a5f2b9c10",
        inbox=None,
        roles=[Role.READ],
        organisation="Example Cloud",
        sponsor=LAB.root.public.id,
        expires=NOW + DAY,
        secret=seed("invitation", 32),
    )


def _join(who: Person, *cards: Person) -> Frozen:
    raw = join_request(_invitation(), [each.card_raw for each in cards], who.signing, now=NOW)
    return Frozen("accept", [raw], {"invitation": _invitation().text})


def _join_swapped() -> Frozen:
    made, ghost = _join(PROVIDER, PROVIDER), Person("ghost")
    reader = Reader(made.items[0], "join request")
    reader.label("join request")
    head = reader.field("json", most=4096)
    # The MAC stays; another card and its signature stand beside it.
    chain = lp(ghost.card_raw)
    signature = ghost.signing.sign(label("join signature") + sha256(head) + sha256(chain))
    raw = label("join request") + lp(head) + lp(chain) + lp(signature)
    expect = "refused: was not made with the invitation's secret, or its card was swapped"
    return Frozen(expect, [raw], made.fields)


def _join_without_secret() -> Frozen:
    other = dataclasses.replace(_invitation(), secret=seed("guess", 32))
    raw = join_request(other, [PROVIDER.card_raw], PROVIDER.signing, now=NOW)
    return Frozen(
        "refused: answers another invitation or channel",
        [raw],
        {"invitation": _invitation().text},
    )


# -- owners --------------------------------------------------------------------------------------


def council() -> tuple[Manifest, Manifest]:
    """A channel of two owners, and its next version, which both must sign."""
    first = genesis(
        owners=[LAB.root.public.id, SECOND.root.public.id],
        members=[LAB.row(PUBLISHER), SECOND.row(PUBLISHER)],
        created=NOW,
        expires=NOW + 90 * DAY,
        threshold=2,
        nonce=seed("council", 16),
    )
    rows = [*first.members, PROVIDER.row(READER)]
    return first, next_version(first, created=NOW, expires=NOW + 80 * DAY, members=rows)


def _proposal(before: Manifest, after: Manifest) -> Proposal:
    return propose(
        before,
        after,
        proposer=LAB.card,
        signing=LAB.signing,
        reason="Example Cloud joins",
        created=NOW,
        cards=[PROVIDER.card],
        names={PROVIDER.id: "Example Cloud"},
    )


def _countersigned(*signers: Person) -> Frozen:
    before, after = council()
    half = _proposal(before, after).signed_by(LAB.root)
    words = [half.signed_by(each.root).countersignature(each.root.public.id) for each in signers]
    missing = "complete" if signers else "1 and 1 more"
    return Frozen(f"accept: {missing}", [half.raw, *(each.to_bytes() for each in words)])


def _countersignature_of_another() -> Frozen:
    before, after = council()
    rival = next_version(before, created=NOW, expires=NOW + 70 * DAY)
    other = propose(
        before, rival, proposer=SECOND.card, signing=SECOND.signing, reason="r", created=NOW
    ).signed_by(SECOND.root)
    half = _proposal(before, after).signed_by(LAB.root)
    word = other.countersignature(SECOND.root.public.id).to_bytes()
    return Frozen("refused: the Ed25519 signature is not valid", [half.raw, word])


def _countersignature_of_a_stranger() -> Frozen:
    made = _countersigned(SECOND)
    ghost = to_base64(Person("ghost").root.public.raw).encode()
    word = made.items[1].replace(to_base64(SECOND.root.public.raw).encode(), ghost)
    expect = "refused: carries a signature of somebody who is no owner"
    return Frozen(expect, [made.items[0], word])


# -- custodians ----------------------------------------------------------------------------------


def _asked(*, answered_by: str = "a", altered: bool = False, other: bool = False) -> Frozen:
    """A request, its answer, and what the member that blinded with known scalars makes of it."""
    row = parts.custodians(CHANNEL)[0]
    blinds = [oprf.hash_to_scalar(oprf.VOPRF, f"blind {at}".encode()) for at in range(2)]
    inputs = [token_input(parts.KIND, value) for value in VALUES]
    blinded = [oprf.blind(oprf.VOPRF, *pair) for pair in zip(inputs, blinds, strict=True)]
    key = EvaluationKey(seed(f"custodian {answered_by}", 32), key_info(CHANNEL, row.key_id))
    requests = [
        make_request(
            PROVIDER.signing, row, b"".join(blinded), channel=CHANNEL, man="ab" * 32, now=NOW
        )
        for _ in range(2)
    ]
    found = key.evaluate(requests[0].elements)
    answer = make_answer(requests[other], found.elements, found.proof, parts.QUOTA)
    if altered:
        answer = answer[:-1] + bytes([answer[-1] ^ 1])
    outputs = [key.output(each) for each in inputs]
    return Frozen(
        f"accept: {hashlib.sha256(b''.join(outputs)).hexdigest()}",
        [requests[0].raw, answer],
        {
            "signing key": to_base64(PROVIDER.signing.public.raw),
            "row": row.text,
            "kind": parts.KIND,
            "values": " ".join(VALUES),
            "blinds": " ".join(each.hex() for each in blinds),
        },
    )


def _expecting(made: Frozen, expect: str) -> Frozen:
    return dataclasses.replace(made, expect=expect)


def _request_of_another() -> Frozen:
    made = _asked()
    fields = {**made.fields, "signing key": to_base64(LAB.signing.public.raw)}
    return Frozen("refused: was signed with another key", made.items, fields)


# -- checkpoints ---------------------------------------------------------------------------------


def _checkpoint(raw: str, expect: str) -> Frozen:
    fields = {
        "verifier key": parts.LOG.verifier_key,
        "witness keys": " ".join(parts.COSIGNED.verifier_keys),
        "quorum": str(parts.COSIGNED.quorum),
    }
    return Frozen(expect, [raw.encode()], fields)


def _borrowed_cosignature() -> Frozen:
    name = "witness.example/w2"
    line = cosign(parts.note(8), name, parts.WITNESSES[name], NOW + 1)
    raw = parts.cosigned(parts.note(9), "witness.example/w1")
    return _checkpoint(add_lines(raw, [line]), "refused: the Ed25519 signature is not valid")


# -- back-ups ------------------------------------------------------------------------------------


def _backup(change: Callable[[bytes], bytes] | None = None, expect: str | None = None) -> Frozen:
    contents = {KEYRING: b"keys", STATE: b"state" * 100, "proofs/split-view.json": b"{}"}
    entries = [
        Entry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()
    ]
    index = Index(LAB.id, "Example Lab", NOW, NOW, LAB.root.public.id, tuple(entries))
    file = io.BytesIO()
    backup_file.write(
        file, RECOVERY_KEY, index, [partial(list, [data]) for data in contents.values()]
    )
    raw = file.getvalue() if change is None else change(file.getvalue())
    said = expect or f"accept: {' '.join(contents)}"
    return Frozen(said, [raw], {"words": _words()})


def _words(wrong: tuple[int, int] | None = None) -> str:
    lines = [list(line) for line in recovery_lines(RECOVERY_KEY)]
    if wrong is not None:
        line, word = wrong
        lines[line - 1][word - 1] = "zebra" if lines[line - 1][word - 1] != "zebra" else "tulip"
    return " ".join(word for line in lines for word in line)


def _proof(made: Callable[[], Made]) -> Frozen:
    expect, raw = made()
    return Frozen(expect, [raw])


FROZEN: Final[dict[str, Callable[[], Frozen]]] = {
    "join-accepted-two-cards": lambda: _join(PROVIDER.renewed(), PROVIDER, PROVIDER.renewed()),
    "join-accepted-re-enrolment": lambda: _join(re_enrolled(), re_enrolled()),
    "join-refused-swapped-card": _join_swapped,
    "join-refused-without-the-secret": _join_without_secret,
    "proposal-accepted-half-signed": _countersigned,
    "proposal-accepted-countersigned": lambda: _countersigned(SECOND),
    "proposal-refused-countersignature-of-another-draft": _countersignature_of_another,
    "proposal-refused-countersignature-of-a-stranger": _countersignature_of_a_stranger,
    "custodian-accepted": _asked,
    "custodian-refused-request-of-another": _request_of_another,
    "custodian-refused-answer-to-another-request": lambda: _expecting(
        _asked(other=True), "refused: is the answer to another request"
    ),
    "custodian-refused-other-key": lambda: _expecting(
        _asked(answered_by="b"), "refused: the proof does not hold"
    ),
    "custodian-refused-altered-proof": lambda: _expecting(
        _asked(altered=True), "refused: the proof does not hold"
    ),
    "checkpoint-accepted-quorum": lambda: _checkpoint(
        parts.cosigned(parts.note(9)), "accept: 9 witness.example/w1 witness.example/w2"
    ),
    "checkpoint-refused-quorum-not-met": lambda: _checkpoint(
        parts.cosigned(parts.note(9), "witness.example/w1"),
        "refused: 1 of 2 needed witnesses cosigned the checkpoint",
    ),
    "checkpoint-refused-borrowed-cosignature": _borrowed_cosignature,
    "checkpoint-refused-another-key": lambda: _checkpoint(
        parts.note(9, key=NotePrivate(seed("another log", 32))),
        "refused: is not signed by the expected key",
    ),
    "backup-accepted": _backup,
    "backup-refused-altered": lambda: _backup(
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "refused: altered or cut off"
    ),
    "backup-refused-cut-off": lambda: _backup(lambda raw: raw[:-20], "refused: altered or cut off"),
    "recovery-accepted": lambda: Frozen(f"accept: {RECOVERY_KEY.hex()}", [], {"words": _words()}),
    "recovery-refused-wrong-word": lambda: Frozen(
        "refused: line 3, word 2: is wrong", [], {"words": _words((3, 2))}
    ),
    **{f"proof-{name}": partial(_proof, made) for name, made in PROOFS.items()},
}


def main() -> None:
    """Write what has no file yet."""
    OBJECTS.mkdir(exist_ok=True)
    for name, made in FROZEN.items():
        path = OBJECTS / f"{name}.txt"
        if not path.exists():
            path.write_text(made().text(name), encoding="ascii")


if __name__ == "__main__":
    main()
