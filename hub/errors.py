"""Every exception that Stillwatch raises on purpose, in families by who must act.

Hostile bytes raise only `InputError` or `VerificationError`. The edges (files, sockets, SQL)
wrap foreign exceptions in the other families, so that callers never catch a library's own.
"""

from __future__ import annotations


class StillwatchError(Exception):
    """Root of all errors.

    Args:
        message: what is wrong, without secrets and without the offending value in clear.
        where: the place: `file:line`, a field, an object id.
        hint: what the reader can do next.
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class InputError(StillwatchError):
    """The bytes or arguments are not of the form that was asked for: their author must act."""


class PatternError(InputError):
    """The text is not a STIX pattern.

    Args:
        position: offset of the first character that does not fit, counted from 0.
    """

    def __init__(
        self,
        message: str,
        *,
        position: int,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.position = position


class SchemaError(InputError):
    """A table lacks a column, or a column has another type than the schema says."""


class VerificationError(StillwatchError):
    """Signed or sealed bytes fail a check: somebody altered, replayed, forged or misaddressed."""


class AccessError(StillwatchError):
    """Somebody asked for what they may not have; an administrator or owner must act."""


class ConflictError(StillwatchError):
    """The request contradicts what is already stored; the caller must look again."""


class StoreError(StillwatchError):
    """A disk or a database failed; an operator must act."""


class StoreAwayError(StoreError):
    """The database server cannot be reached now; the same call may well succeed a little later."""


class TransportError(StillwatchError):
    """A peer did not answer, or answered outside its protocol; retry or look at the network."""
