"""The custodians of a channel as this home knows them: rows, the way to each, quota last told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from hub.channel.custodians import Custodian, Quota, check_rows
from hub.client.state import State
from hub.errors import InputError

_ROW: Final = "key_id, custodian_id, url, public_key, created, expires"


@dataclasses.dataclass(frozen=True)
class Way:
    """How this member reaches a custodian.

    Attributes:
        ca_file: certificates to trust in place of the system's.
        client_cert: PEM file with certificate and key.
        plain_http: whether http to another machine is taken.
    """

    ca_file: str | None = None
    client_cert: str | None = None
    plain_http: bool = False


@dataclasses.dataclass(frozen=True)
class Told:
    """The quota that a custodian told last.

    Attributes:
        at: when, UTC seconds.
    """

    quota: Quota
    at: int


class Custodians:
    """The custodians of one channel.

    Args:
        state: the home's state.
        channel_id: the channel.
    """

    def __init__(self, state: State, channel_id: str) -> None:
        self._state = state
        self._channel = channel_id

    def of(self, key_id: str) -> tuple[Custodian, ...]:
        """The custodians of a fingerprint key, ascending by id: none or two."""
        return tuple(row for row in self.all() if row.key_id == key_id)

    def all(self) -> list[Custodian]:
        """Every custodian, ascending by (key, id)."""
        return [
            Custodian(str(r[1]), str(r[2]), str(r[0]), bytes(r[3]), int(r[4]), int(r[5]))
            for r in self._state.rows(
                f"SELECT {_ROW} FROM custodian WHERE channel_id=? ORDER BY key_id, custodian_id",
                (self._channel,),
            )
        ]

    def public_keys(self) -> dict[tuple[str, str], bytes]:
        """(fingerprint key id, custodian id) -> public key."""
        return {(row.key_id, row.custodian_id): row.public_key for row in self.all()}

    def put(self, rows: Iterable[Custodian]) -> None:
        """Note what an owner stated; a custodian that is known may have moved elsewhere."""
        self._state.run_many(
            f"INSERT OR REPLACE INTO custodian (channel_id, {_ROW}) VALUES (?,?,?,?,?,?,?)",
            [
                (
                    self._channel,
                    row.key_id,
                    row.custodian_id,
                    row.url,
                    row.public_key,
                    row.created,
                    row.expires,
                )
                for row in rows
            ],
        )

    def check_new(self, rows: Iterable[Custodian], key_id: str) -> tuple[Custodian, Custodian]:
        """The two rows that an owner wants to state for a fingerprint key.

        Raises:
            InputError: not two, of another key, or the key has others already.
        """
        found = tuple(sorted(rows, key=lambda row: row.custodian_id))
        if any(row.key_id != key_id for row in found):
            raise InputError(
                f"a row serves another fingerprint key than {key_id}",
                where="--row",
                hint="each custodian prints its row for the key that is live now",
            )
        if len(found) != 2:
            raise InputError("two custodians are wanted, of two operators", where="--row")
        if found[0].custodian_id == found[1].custodian_id:
            raise InputError(
                f"two rows of one custodian, {found[0].custodian_id}",
                where="--row",
                hint="the other custodian's operator prints the second one",
            )
        check_rows(found, "--row")
        before = {row.custodian_id: row.public_key for row in self.of(key_id)}
        if before and before != {row.custodian_id: row.public_key for row in found}:
            raise InputError(
                f"{key_id} has other custodians already; its tokens would never meet",
                where="--row",
                hint="the next fingerprint key may have others",
            )
        return found[0], found[1]

    # How they are reached

    def way(self, custodian_id: str) -> Way:
        """How this member reaches a custodian."""
        rows = self._state.rows(
            "SELECT ca_file, client_cert, plain_http FROM custodian_way"
            " WHERE channel_id=? AND custodian_id=?",
            (self._channel, custodian_id),
        )
        return Way(rows[0][0], rows[0][1], bool(rows[0][2])) if rows else Way()

    def put_way(self, custodian_id: str, way: Way) -> None:
        """Note how this member reaches a custodian."""
        self._state.run(
            "INSERT OR REPLACE INTO custodian_way VALUES (?,?,?,?,?)",
            (self._channel, custodian_id, way.ca_file, way.client_cert, int(way.plain_http)),
        )

    # What they told of our quota

    def told(self, custodian_id: str, now: int) -> Told | None:
        """The quota last told; None when nothing was, or it has been renewed since."""
        rows = self._state.rows(
            "SELECT day, remaining, resets, burst, burst_left, at FROM custodian_quota"
            " WHERE channel_id=? AND custodian_id=?",
            (self._channel, custodian_id),
        )
        if not rows or int(rows[0][2]) <= now:
            return None
        day, left, resets, burst, burst_left, at = (int(each) for each in rows[0])
        return Told(Quota(day, left, resets, burst, burst_left), at)

    def put_told(self, custodian_id: str, quota: Quota, at: int) -> None:
        """Note what a custodian told of our quota."""
        self._state.run(
            "INSERT OR REPLACE INTO custodian_quota VALUES (?,?,?,?,?,?,?,?)",
            (self._channel, custodian_id, *dataclasses.astuple(quota), at),
        )
