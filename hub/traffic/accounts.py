"""The subscriber's own customer table, joined to traffic in memory.

A gateway log names an account or a key; e-mail, phone, payment and device lie in the customer
database. Tokens are computed here, under every live fingerprint key, and never leave the process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from hub.fingerprint.tokens import FingerprintKey


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A value of the customer table that has no normal form.

    Args:
        where: `file:row`, the row being the line (CSV, JSONL) or the record (Parquet), from 1.
        field: the column, by our name.
        reason: what is wrong; never the value.
    """

    where: str
    field: str
    reason: str


class AccountTable:
    """Customers by account id and by API key id, with their tokens."""

    @classmethod
    def read(
        cls,
        path: Path,
        mapping: Mapping[str, str] | None = None,
        *,
        keys: Sequence[FingerprintKey] = (),
        region: str | None = None,
    ) -> AccountTable:
        """Read a customer table (.csv, .jsonl, .parquet) and tokenise each customer once.

        Args:
            mapping: our column name to the file's; names left out are looked for as they are.
            keys: live fingerprint keys.
            region: ISO 3166 region of phone numbers written without a country code.
        Raises:
            InputError: unknown kind of file, neither id column, malformed row (`file:row`).
        """
        raise NotImplementedError

    @property
    def problems(self) -> tuple[RowProblem, ...]:
        """Values that could not be normalised; their other columns are used all the same."""
        raise NotImplementedError

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Fill account columns of traffic: tokens, e-mail domain, shapes, sign-up time.

        Args:
            batch: TRAFFIC_SCHEMA; what it already says is kept.
        Returns:
            TRAFFIC_SCHEMA, as many rows; joined by `account_id`, else by `api_key_id`.
        """
        raise NotImplementedError
