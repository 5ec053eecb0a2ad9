"""The rules of a channel, and the log and witnesses that it requires.

Source: schemas/channel-v1.md, "Manifest".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hub.channel.fields import Fields, check_ascending
from hub.channel.log.note import MAX_KEY, KeyType, parse_key
from hub.errors import InputError
from hub.model.codec import Json

DAY: Final = 86_400
MAX_OWNERS: Final = 32
MAX_FINGERPRINT_KINDS: Final = 32
TLP_CEILINGS: Final = ("TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED")
COMPRESSIONS: Final = ("zlib", "zstd")
HISTORIES: Final = ("none", "all")
FINGERPRINT_FORMS: Final = ("keyed", "oblivious", "none")


@dataclass(frozen=True)
class Policy:
    """The rules of a channel; times are in seconds.

    Args:
        tlp: the strictest marking that may be published here.
        rotation: greatest age of an epoch.
        staleness: how long messages under a superseded manifest or epoch are still taken, and how
            long past `rotation` an epoch may still be published under.
        heartbeat: a publisher with nothing to say signs a heartbeat this often.
        compression: `zlib` or `zstd`.
        history: what joiners can open of the past: `none` or `all`.
        erasure: after how long members erase an epoch's secrets; None: never.
        approvals: how many owners must approve a joiner.
        fingerprints: form of the token per kind of identifier: `keyed`, `oblivious`, `none`; kinds
            that are not named are `keyed`.
    """

    tlp: str = "TLP:AMBER"
    rotation: int = 30 * DAY
    staleness: int = DAY
    heartbeat: int = DAY
    compression: str = "zstd"
    history: str = "none"
    erasure: int | None = None
    approvals: int = 1
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> Json:
        """The policy with its exact key set."""
        return {
            "tlp": self.tlp,
            "rotation": self.rotation,
            "staleness": self.staleness,
            "heartbeat": self.heartbeat,
            "compression": self.compression,
            "history": self.history,
            "erasure": self.erasure,
            "approvals": self.approvals,
            "fingerprints": dict(self.fingerprints),
        }


@dataclass(frozen=True)
class Log:
    """The hub's Merkle log that members require.

    Args:
        origin: first line of its checkpoints.
        verifier_key: C2SP verifier key.
    """

    origin: str
    verifier_key: str


@dataclass(frozen=True)
class Witnesses:
    """Who must cosign checkpoints.

    Args:
        quorum: how many of them.
        verifier_keys: C2SP verifier keys, ascending.
    """

    quorum: int
    verifier_keys: tuple[str, ...]


def parse_policy(value: object) -> Policy:
    names = Policy().to_json().keys()
    fields = Fields(value, "manifest.policy", names)
    forms = fields.raw("fingerprints")
    if not isinstance(forms, dict) or len(forms) > MAX_FINGERPRINT_KINDS:
        raise InputError("an object is expected", where="manifest.policy.fingerprints")
    if not all(isinstance(form, str) and form in FINGERPRINT_FORMS for form in forms.values()):
        raise InputError(
            f"forms are {list(FINGERPRINT_FORMS)}", where="manifest.policy.fingerprints"
        )
    erasure = fields.raw("erasure")
    return Policy(
        tlp=fields.one_of("tlp", TLP_CEILINGS),
        rotation=fields.integer("rotation", least=60, most=366 * DAY),
        staleness=fields.integer("staleness", least=60, most=366 * DAY),
        heartbeat=fields.integer("heartbeat", least=60, most=366 * DAY),
        compression=fields.one_of("compression", COMPRESSIONS),
        history=fields.one_of("history", HISTORIES),
        erasure=None if erasure is None else fields.integer("erasure", least=60),
        approvals=fields.integer("approvals", least=1, most=MAX_OWNERS),
        fingerprints=dict(sorted(forms.items())),
    )


def parse_log(value: object) -> Log | None:
    if value is None:
        return None
    fields = Fields(value, "manifest.log", ("origin", "verifier_key"))
    log = Log(fields.text("origin"), fields.text("verifier_key", most=MAX_KEY))
    key = parse_key(log.verifier_key, KeyType.LOG, fields.at("verifier_key"))
    if key.name != log.origin:
        raise InputError("the key is of another log than the origin", where="manifest.log")
    return log


def parse_witnesses(value: object) -> Witnesses | None:
    if value is None:
        return None
    fields = Fields(value, "manifest.witnesses", ("quorum", "verifier_keys"))
    keys, where = fields.array("verifier_keys", most=32), fields.at("verifier_keys")
    if not keys or not all(isinstance(key, str) for key in keys):
        raise InputError("verifier keys are expected", where=where)
    check_ascending(keys, where)
    parsed = [parse_key(key, KeyType.WITNESS, where) for key in keys]
    # One witness under two names would count twice.
    if len({key.name for key in parsed} | {key.public for key in parsed}) != 2 * len(parsed):
        raise InputError("two witnesses share a name or a key", where=where)
    return Witnesses(fields.integer("quorum", least=1, most=len(keys)), tuple(keys))
