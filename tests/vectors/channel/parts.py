"""The deterministic vectors of direct messages, logs, custodians, receipts and recovery keys."""

from __future__ import annotations

from hub.channel.custodian_replies import Refusal, Standing
from hub.channel.custodians import (
    Custodian,
    Quota,
    key_info,
    make_answer,
    make_request,
)
from hub.channel.direct import Release, direct_commitment, direct_wrap_info
from hub.channel.fingerprint_keys import FingerprintSecret, keys_to_bytes
from hub.channel.header import Audience, Header, MessageType
from hub.channel.log.checkpoint import Checkpoint, cosign, log_key, sign_checkpoint
from hub.channel.log.note import KeyType, VerifierKey, add_lines
from hub.channel.log.tree import leaf_hash, root_of
from hub.channel.manifest import Log, Manifest, Witnesses
from hub.channel.primitives.hash import label, lp, sha256
from hub.channel.primitives.sign import SIGNATURE_SIZE, NotePrivate
from hub.channel.receipt import Receipt
from hub.channel.recovery import backup_key, backup_key_id, recovery_lines
from hub.fingerprint.oblivious import EvaluationKey, bucket, oblivious_token, token_input
from hub.fingerprint.tokens import FingerprintKey
from hub.model.codec import Json
from tests.unit.channel.cast import NOW, Person, seed

ORIGIN = "hub.example/stillwatch/0e2b7f3c-5a55-4f0e-8d4a-1f7a5f2b9c10/0123456789abcdef"
LOG_PRIVATE = NotePrivate(seed("log", 32))
LOG = Log(ORIGIN, log_key(ORIGIN, LOG_PRIVATE).text)
WITNESSES = {f"witness.example/{name}": NotePrivate(seed(name, 32)) for name in ("w1", "w2")}
WITNESS_KEYS = {
    name: VerifierKey(name, KeyType.WITNESS, key.public).text for name, key in WITNESSES.items()
}
COSIGNED = Witnesses(2, tuple(sorted(WITNESS_KEYS.values())))
QUOTA = Quota(day=200_000, left=199_998, resets=NOW + 57_600, burst=100_000, burst_left=99_998)
KIND, VALUE = "email", "a@b.example"
# The blinded elements of RFC 9497, A.1.2, test vector 3: what a member might send.
BLINDED = bytes.fromhex(
    "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"
    "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654"
)


def leaves(count: int, name: str = "message") -> list[bytes]:
    """Digests that stand for messages."""
    return [seed(f"{name} {number}", 32) for number in range(count)]


def note(
    size: int, *, name: str = "message", time: int = NOW, key: NotePrivate | None = None
) -> str:
    """A signed checkpoint over so many of them."""
    root = root_of(leaf_hash(each) for each in leaves(size, name))
    return sign_checkpoint(Checkpoint(ORIGIN, size, root, time), key or LOG_PRIVATE)


def cosigned(raw: str, *names: str, time: int = NOW + 1) -> str:
    """The checkpoint with cosignatures of witnesses, all if none is named."""
    chosen = names or tuple(WITNESSES)
    return add_lines(raw, [cosign(raw, name, WITNESSES[name], time) for name in chosen])


def custodians(channel: str) -> tuple[Custodian, Custodian]:
    """Both rows of the channel's fingerprint key."""
    key_id = f"{channel[:16]}.2027q1"

    def row(name: str) -> Custodian:
        public = EvaluationKey(seed(f"custodian {name}", 32), key_info(channel, key_id)).public_key
        url = f"https://custody-{name}.example"
        return Custodian(f"custody-{name}.example", url, key_id, public, NOW, NOW + 120 * 86_400)

    return row("a"), row("b")


def parts(first: Manifest, lab: Person) -> Json:
    """What does not depend on randomness, by format."""
    return {
        "direct": _direct(first, lab),
        "log": _log(),
        "oblivious": _oblivious(first.channel),
        "custodian": _custodian(first, lab),
        "receipt": Receipt(("33" * 32, "11" * 32), NOW).content(),
        "recovery": _recovery(),
    }


def _direct(first: Manifest, lab: Person) -> Json:
    header = Header(
        t=MessageType.DATA,
        ch=first.channel,
        man=first.hash,
        ep=1,
        aud=Audience.DIRECT,
        pub=lab.pub,
        seq=2,
        prev="11" * 32,
        ts=NOW,
    )
    return {
        "wrap info": direct_wrap_info(header, lab.card.kem_id).hex(),
        "commitment": direct_commitment(seed("direct secret", 32), header),
        "secret": seed("direct secret", 32).hex(),
        "release": Release("Art. 6(1)(f) GDPR", (lab.id,), NOW + 86_400).content(),
    }


def _log() -> Json:
    return {
        "log seed": seed("log", 32).hex(),
        "witness seeds": [seed(name, 32).hex() for name in ("w1", "w2")],
        "verifier key": LOG.verifier_key,
        "witness keys": list(COSIGNED.verifier_keys),
        "digests": [each.hex() for each in leaves(3)],
        "leaves": [leaf_hash(each).hex() for each in leaves(3)],
        "checkpoint": note(3),
        "cosigned": cosigned(note(3)),
    }


def _oblivious(channel: str) -> Json:
    a, b = custodians(channel)
    key = FingerprintKey(a.key_id, seed("fingerprint key", 32))
    data = token_input(KIND, VALUE)
    y_a, y_b = (
        EvaluationKey(seed(f"custodian {name}", 32), key_info(channel, a.key_id)).output(data)
        for name in "ab"
    )
    return {
        "input": data.hex(),
        "key info": key_info(channel, a.key_id).hex(),
        "seeds": [seed(f"custodian {name}", 32).hex() for name in "ab"],
        "public keys": [a.public_key.hex(), b.public_key.hex()],
        "outputs": [y_a.hex(), y_b.hex()],
        "token": oblivious_token(key, KIND, y_a, y_b),
        "buckets": {str(bits): bucket(key, KIND, VALUE, bits) for bits in (1, 4, 13, 20)},
    }


def _custodian(first: Manifest, lab: Person) -> Json:
    a, b = custodians(first.channel)
    request = make_request(
        lab.signing,
        a,
        BLINDED,
        channel=first.channel,
        man=first.hash,
        now=NOW,
        nonce=seed("request nonce", 32),
    )
    key = EvaluationKey(seed("custodian a", 32), key_info(first.channel, a.key_id))
    evaluated = key.evaluate(BLINDED).elements
    head = request.raw[len(label("custodian request")) + 4 :].split(lp(BLINDED))[0]
    signed = label("custodian request signature") + sha256(head) + sha256(BLINDED)
    fingerprint = FingerprintSecret(a.key_id, seed("fingerprint key", 32), NOW)
    answer = make_answer(request, evaluated, bytes(64), QUOTA)
    # The digest of a request depends on its randomised signature.
    shown = answer.replace(request.digest.encode(), b"0" * 64)
    standing = Standing(first.channel, 1, first.hash, (lab.card.hash,), (a,))
    refusal = Refusal("quota", "the day's quota is spent", "ask again tomorrow", 57_600, QUOTA)
    return {
        "row": a.text,
        "keys": keys_to_bytes([fingerprint], first.channel, [a, b]).decode(),
        "request without its signature": request.raw[:-SIGNATURE_SIZE].hex(),
        "signed": signed.hex(),
        "evaluated": evaluated.hex(),
        "answer to request 0 with an empty proof": shown.hex(),
        "standing": standing.to_bytes().decode(),
        "refusal": refusal.to_bytes().decode(),
    }


def _recovery() -> Json:
    key = seed("recovery key", 32)
    return {
        "key": key.hex(),
        "lines": [" ".join(line) for line in recovery_lines(key)],
        "backup key": backup_key(key).hex(),
        "backup key id": backup_key_id(key).hex(),
    }
