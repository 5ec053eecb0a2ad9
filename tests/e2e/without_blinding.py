"""The custodian of a build whose members do not blind and whose keys are not sealed.

The control of the search in test_custody_secrecy.py: it keeps, logs and stores what it is sent.
"""

from __future__ import annotations

from hub.channel.primitives import aead
from hub.cli.main import main
from hub.custody import audit, service
from hub.custody.app import logger
from hub.custody.folder import Folder
from hub.custody.keys import KeyRow
from hub.fingerprint.oblivious import PROOF_SIZE, SEED_SIZE, Evaluation, EvaluationKey
from tests.e2e.searchable import leave_open
from tests.e2e.without_cipher import _open_sealed, _seal

_KEPT: list[bytes] = []
_real_append = audit.append


def _append(folder: Folder, entry: audit.Entry) -> None:
    note = _KEPT[-1].hex() if _KEPT else None
    _real_append(folder, audit.Entry(entry.at, entry.event, entry.channel, note=note))


class _Open(EvaluationKey):
    def evaluate(self, elements: bytes) -> Evaluation:
        _KEPT.append(elements)
        logger.warning("evaluated %s", elements.decode())
        return Evaluation(elements, bytes(PROOF_SIZE))


def _load_key(_: Folder, row: KeyRow) -> EvaluationKey:
    return _Open(bytes(SEED_SIZE), row.key_id.encode())


if __name__ == "__main__":
    leave_open()
    aead.seal = _seal
    aead.open_sealed = _open_sealed
    audit.append = _append
    vars(service)["load_key"] = _load_key
    main()
