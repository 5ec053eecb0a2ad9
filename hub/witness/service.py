"""When a witness cosigns, and what it says when it does not.

Source: C2SP tlog-witness, "add-checkpoint".
"""

from __future__ import annotations

from collections.abc import Callable

from hub.channel.log.checkpoint import cosign, verify_checkpoint
from hub.channel.log.note import KeyType, VerifierKey
from hub.channel.log.tree import verify_consistency
from hub.channel.primitives.sign import NotePrivate
from hub.errors import AccessError, ConflictError, InputError, VerificationError
from hub.witness.state import Log, State
from hub.witness.submission import Submission, parse_submission


class UnknownLogError(AccessError):
    """The checkpoint is of a log that this witness does not follow (404)."""


class NotSignedError(VerificationError):
    """No signature of the log's key under the checkpoint (403)."""


class NotThereError(ConflictError):
    """The old size is not what was cosigned last, or the same size has another root (409).

    Args:
        size: what was cosigned last.
    """

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class NotConsistentError(VerificationError):
    """The proof does not lead from what was cosigned to the checkpoint (422)."""


class Witness:
    """A witness at work.

    Args:
        state: what it remembers.
        key: signs.
        now: wall clock in whole seconds UTC.
    """

    def __init__(self, state: State, key: NotePrivate, *, now: Callable[[], int]) -> None:
        self._state = state
        self._key = key
        self._now = now

    @property
    def verifier_key(self) -> str:
        """What manifests name this witness by."""
        return VerifierKey(self._state.name, KeyType.WITNESS, self._key.public).text

    def add_checkpoint(self, body: bytes) -> str:
        """Cosign what is submitted.

        Args:
            body: see `parse_submission`.
        Returns:
            The signature line; what it vouches for is durable.
        Raises:
            InputError: the form is wrong, or the old size is above the checkpoint's.
            UnknownLogError, NotSignedError, NotThereError, NotConsistentError: see there.
            StoreError: it cannot be remembered, so it is not signed.
        """
        asked = parse_submission(body)
        checkpoint = asked.signed.checkpoint
        log = self._state.log(checkpoint.origin)
        if log is None:
            raise UnknownLogError("this witness does not follow that log")
        try:
            verify_checkpoint(asked.signed.raw, log.verifier_key)
        except VerificationError as error:
            raise NotSignedError(error.message) from error
        if asked.old > checkpoint.size:
            raise InputError("the old size is above the checkpoint's", where="old")
        now = self._now()
        self._judge(asked, log, now)
        raw = asked.signed.raw
        if not self._state.advance(log, checkpoint.size, checkpoint.root, raw, now):
            newest = self._state.log(log.origin)
            raise NotThereError(
                "another checkpoint was cosigned meanwhile",
                log.size if newest is None else newest.size,
            )
        return cosign(raw, self._state.name, self._key, now).text

    def _judge(self, asked: Submission, log: Log, now: int) -> None:
        checkpoint = asked.signed.checkpoint
        if asked.old != log.size:
            raise NotThereError("another size was cosigned last", log.size)
        if checkpoint.size == log.size and checkpoint.root != log.root:
            # The log signed two trees of one size: that proves a split view.
            self._state.refuse(log.origin, asked.signed.raw, now)
            raise NotThereError("another root was cosigned for this size", log.size)
        try:
            verify_consistency(log.size, log.root, checkpoint.size, checkpoint.root, asked.proof)
        except VerificationError as error:
            # That proves nothing: anybody may send a log's checkpoint with a wrong proof.
            raise NotConsistentError(error.message) from error
