"""Organisations, API tokens, member bindings and their challenges."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sqlite3
import uuid
from typing import Any, Final

from hub.errors import ConflictError, InputError
from hub.store.clock import GuardedClock
from hub.store.records import Binding, NewToken, Org, Token
from hub.store.sqlite.collections import require_org
from hub.store.sqlite.database import Database

SCOPES: Final = frozenset({"read", "write", "admin"})
_MARK: Final = "sw"
_LONGEST_TOKEN: Final = 200
_LONGEST_NAME: Final = 200
_ORG: Final = "SELECT id, name, created, disabled FROM org"
_LISTED: Final = (
    "SELECT t.id, t.org_id, t.name, t.prefix, t.scopes, t.created, t.expires, t.successor,"
    " t.revoked FROM token t"
)
_FIND: Final = (
    "SELECT t.id, t.org_id, t.name, t.prefix, t.scopes, t.created, t.expires, t.successor,"
    " t.revoked, t.digest, o.disabled FROM token t JOIN org o ON o.id = t.org_id"
    " WHERE t.prefix = ?"
)
_NO_DIGEST: Final = bytes(32)


class Accounts:
    """`AccountStore` on SQLite."""

    _database: Database
    _clock: GuardedClock

    def create_org(self, name: str) -> Org:
        """See `AccountStore.create_org`."""
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise InputError(f"a name is 1 to {_LONGEST_NAME} printable characters", where="name")
        made = Org(str(uuid.uuid4()), name, self._clock.seconds(), disabled=False)
        with self._database.write() as connection:
            if connection.execute(
                f"{_ORG} WHERE name = :name OR id = :name", {"name": name}
            ).fetchone():
                raise ConflictError("there is an organisation of this name", where=name)
            connection.execute(
                "INSERT INTO org (id, name, created, disabled) VALUES (?, ?, ?, ?)",
                (made.id, made.name, made.created, made.disabled),
            )
        return made

    def org(self, id_or_name: str) -> Org | None:
        """See `AccountStore.org`."""
        row = self._database.row(f"{_ORG} WHERE id = ?", (id_or_name,))
        if row is None:
            row = self._database.row(f"{_ORG} WHERE name = ?", (id_or_name,))
        return None if row is None else _org(row)

    def orgs(self) -> list[Org]:
        """See `AccountStore.orgs`."""
        return [_org(row) for row in self._database.rows(f"{_ORG} ORDER BY created, rowid")]

    def disable_org(self, org_id: str, *, disabled: bool = True) -> None:
        """See `AccountStore.disable_org`."""
        with self._database.write() as connection:
            require_org(connection, org_id)
            connection.execute("UPDATE org SET disabled = ? WHERE id = ?", (disabled, org_id))

    def create_token(
        self,
        org_id: str,
        *,
        name: str = "",
        scopes: frozenset[str] = frozenset({"read", "write"}),
        expires: int | None = None,
    ) -> NewToken:
        """See `AccountStore.create_token`."""
        if not scopes or scopes - SCOPES:
            raise InputError(f"scopes are one or more of {sorted(SCOPES)}", where="scopes")
        with self._database.write() as connection:
            require_org(connection, org_id)
            return self._insert_token(connection, org_id, name, scopes, expires)

    def find_token(self, secret: str, *, now: int) -> Token | None:
        """See `AccountStore.find_token`."""
        if len(secret) > _LONGEST_TOKEN:
            return None
        row = self._database.row(_FIND, (_prefix(secret),))
        # An unknown prefix costs the same work as a wrong secret behind a known one.
        digest = _NO_DIGEST if row is None else row[9]
        same = hmac.compare_digest(digest, self._digest(secret))
        if row is None or not same or row[10]:
            return None
        found = _token(row[:9])
        expired = found.expires is not None and found.expires <= now
        return None if expired or found.revoked is not None else found

    def tokens(self, org_id: str | None = None) -> list[Token]:
        """See `AccountStore.tokens`."""
        if org_id is None:
            rows = self._database.rows(f"{_LISTED} ORDER BY t.created, t.rowid")
        else:
            rows = self._database.rows(
                f"{_LISTED} WHERE t.org_id = ? ORDER BY t.created, t.rowid", (org_id,)
            )
        return [_token(row) for row in rows]

    def rotate_token(self, token_id: str, *, overlap: int, now: int) -> NewToken:
        """See `AccountStore.rotate_token`."""
        if overlap < 0:
            raise InputError("an overlap is not negative", where="overlap")
        with self._database.write() as connection:
            old = _require_token(connection, token_id)
            if old.successor is not None or old.revoked is not None:
                raise ConflictError("the token was already replaced or revoked", where=token_id)
            made = self._insert_token(connection, old.org_id, old.name, old.scopes, old.expires)
            end = now + overlap if old.expires is None else min(old.expires, now + overlap)
            connection.execute(
                "UPDATE token SET successor = ?, expires = ? WHERE id = ?",
                (made.token.id, end, token_id),
            )
        return made

    def revoke_token(self, token_id: str, *, now: int) -> None:
        """See `AccountStore.revoke_token`."""
        with self._database.write() as connection:
            _require_token(connection, token_id)
            connection.execute(
                "UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, token_id)
            )

    def bind_member(self, org_id: str, member: str, root_id: str) -> Binding:
        """See `AccountStore.bind_member`."""
        made = Binding(member, root_id, org_id, self._clock.seconds())
        with self._database.write() as connection:
            require_org(connection, org_id)
            row = connection.execute(
                "SELECT member, root_id, org_id, created FROM member_binding"
                " WHERE member = ? AND root_id = ?",
                (member, root_id),
            ).fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO member_binding (member, root_id, org_id, created)"
                    " VALUES (?, ?, ?, ?)",
                    made,
                )
                return made
            if row[2] != org_id:
                # Told to nobody but the holder of that key: who asks has proved possession.
                holder = connection.execute(
                    "SELECT name FROM org WHERE id = ?", (row[2],)
                ).fetchone()
                raise ConflictError(
                    f"this member's key is bound to the account of {holder[0]}", where=member
                )
            return Binding(*row)

    def unbind_members(self, org_id: str) -> int:
        """See `AccountStore.unbind_members`."""
        with self._database.write() as connection:
            require_org(connection, org_id)
            return connection.execute(
                "DELETE FROM member_binding WHERE org_id = ?", (org_id,)
            ).rowcount

    def bindings(self, org_id: str) -> list[Binding]:
        """See `AccountStore.bindings`."""
        rows = self._database.rows(
            "SELECT member, root_id, org_id, created FROM member_binding"
            " WHERE org_id = ? ORDER BY created, member",
            (org_id,),
        )
        return [Binding(*row) for row in rows]

    def binding(self, member: str, root_id: str) -> Binding | None:
        """See `AccountStore.binding`."""
        row = self._database.row(
            "SELECT member, root_id, org_id, created FROM member_binding"
            " WHERE member = ? AND root_id = ?",
            (member, root_id),
        )
        return None if row is None else Binding(*row)

    def put_challenge(self, org_id: str, challenge: str, *, expires: int) -> None:
        """See `AccountStore.put_challenge`."""
        with self._database.write() as connection:
            require_org(connection, org_id)
            connection.execute("DELETE FROM challenge WHERE expires <= ?", (self._clock.seconds(),))
            connection.execute(
                "INSERT INTO challenge (challenge, org_id, expires) VALUES (?, ?, ?)",
                (challenge, org_id, expires),
            )

    def take_challenge(self, org_id: str, challenge: str, *, now: int) -> bool:
        """See `AccountStore.take_challenge`."""
        with self._database.write() as connection:
            taken = connection.execute(
                "DELETE FROM challenge WHERE challenge = ? AND org_id = ? AND expires > ?",
                (challenge, org_id, now),
            )
            return taken.rowcount == 1

    def _insert_token(
        self,
        connection: sqlite3.Connection,
        org_id: str,
        name: str,
        scopes: frozenset[str],
        expires: int | None,
    ) -> NewToken:
        # 60 random bits name the token, 256 keep it; both without '_', which parts them.
        prefix = base64.b32encode(secrets.token_bytes(8)).decode().lower()[:12]
        secret = f"{_MARK}_{prefix}_{secrets.token_hex(32)}"
        token = Token(
            id=str(uuid.uuid4()),
            org_id=org_id,
            name=name,
            prefix=prefix,
            scopes=scopes,
            created=self._clock.seconds(),
            expires=expires,
            successor=None,
            revoked=None,
        )
        connection.execute(
            "INSERT INTO token (id, org_id, name, prefix, digest, scopes, created, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                token.id,
                org_id,
                name,
                prefix,
                self._digest(secret),
                " ".join(sorted(scopes)),
                token.created,
                expires,
            ),
        )
        return NewToken(token, secret)

    def _digest(self, secret: str) -> bytes:
        octets = secret.encode("utf-8", "surrogatepass")
        return hmac.digest(self._database.token_key, octets, hashlib.sha256)


def _prefix(secret: str) -> str:
    mark, _, rest = secret.partition("_")
    prefix, _, _ = rest.partition("_")
    # What is no token of ours is looked up all the same, as a prefix that nobody has.
    return prefix if mark == _MARK and prefix.isascii() else ""


def _require_token(connection: sqlite3.Connection, token_id: str) -> Token:
    row = connection.execute(f"{_LISTED} WHERE t.id = ?", (token_id,)).fetchone()
    if row is None:
        raise InputError("there is no such token", where=token_id)
    return _token(row)


def _org(row: Any) -> Org:
    return Org(row[0], row[1], row[2], disabled=bool(row[3]))


def _token(row: Any) -> Token:
    token_id, org_id, name, prefix, scopes, created, expires, successor, revoked = row
    return Token(
        token_id,
        org_id,
        name,
        prefix,
        frozenset(scopes.split()),
        created,
        expires,
        successor,
        revoked,
    )
