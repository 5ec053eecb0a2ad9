"""Organisations and their API tokens, on either engine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from typing import Any, Final

from hub.errors import ConflictError, InputError
from hub.store.clock import GuardedClock
from hub.store.records import ORDINARY_ROLES, Credential, NewToken, Org, Role, Token
from hub.store.sql import Connection, Sql, checked_name, require_org

SCOPES: Final = frozenset({"read", "write", "admin"})
TOKEN_MARK: Final = "sw"
"""Begins every API token, and nothing else that logs in."""
_LONGEST_TOKEN: Final = 200
_ORG: Final = "SELECT id, name, created, disabled, government FROM org"
_LISTED: Final = (
    "SELECT t.id, t.org_id, t.name, t.prefix, t.scopes, t.created, t.expires, t.successor,"
    " t.revoked, t.account_id FROM token t"
)
_FIND: Final = (
    "SELECT t.digest, t.expires, t.revoked, o.disabled, a.disabled, t.id, t.org_id, t.account_id,"
    " a.roles, t.scopes, o.government FROM token t JOIN org o ON o.id = t.org_id"
    " LEFT JOIN account a ON a.id = t.account_id WHERE t.prefix = ?"
)
_NO_DIGEST: Final = bytes(32)


class Accounts:
    """`AccountStore`, but for the members of channels."""

    _database: Sql
    _clock: GuardedClock

    def create_org(self, name: str, *, government: bool = False) -> Org:
        """See `AccountStore.create_org`."""
        made = Org(
            str(uuid.uuid4()),
            checked_name(name),
            self._clock.seconds(),
            disabled=False,
            government=government,
        )
        with self._database.write() as connection:
            if connection.execute(f"{_ORG} WHERE name = ? OR id = ?", (name, name)).fetchone():
                raise ConflictError("there is an organisation of this name", where=name)
            connection.execute(
                "INSERT INTO org (id, name, created, disabled, government, position)"
                " VALUES (?, ?, ?, ?, ?, (SELECT COALESCE(MAX(position), 0) + 1 FROM org))",
                (made.id, made.name, made.created, made.disabled, made.government),
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
        return [_org(row) for row in self._database.rows(f"{_ORG} ORDER BY created, position")]

    def disable_org(self, org_id: str, *, disabled: bool = True) -> None:
        """See `AccountStore.disable_org`."""
        with self._database.write() as connection:
            require_org(connection, org_id)
            connection.execute("UPDATE org SET disabled = ? WHERE id = ?", (disabled, org_id))

    def set_government(self, org_id: str, *, government: bool) -> None:
        """See `AccountStore.set_government`."""
        with self._database.write() as connection:
            require_org(connection, org_id)
            connection.execute("UPDATE org SET government = ? WHERE id = ?", (government, org_id))

    def create_token(
        self,
        org_id: str,
        *,
        name: str = "",
        scopes: frozenset[str] = frozenset({"read", "write"}),
        expires: int | None = None,
        account_id: str | None = None,
    ) -> NewToken:
        """See `AccountStore.create_token`."""
        if not scopes or scopes - SCOPES:
            raise InputError(f"scopes are one or more of {sorted(SCOPES)}", where="scopes")
        with self._database.write() as connection:
            require_org(connection, org_id)
            if account_id is not None:
                _require_account_of(connection, account_id, org_id)
            return self._insert_token(connection, org_id, name, scopes, expires, account_id)

    def find_token(self, secret: str, *, now: int) -> Token | None:
        """See `AccountStore.find_token`."""
        found = self.credential(secret, now=now)
        if found is None:
            return None
        return _token(self._database.row(f"{_LISTED} WHERE t.id = ?", (found.id,)))

    def credential(self, secret: str, *, now: int) -> Credential | None:
        """See `AccountStore.credential`."""
        if len(secret) > _LONGEST_TOKEN:
            return None
        row = self._database.row(_FIND, (_prefix(secret),))
        # An unknown prefix costs the same work as a wrong secret behind a known one.
        digest = _NO_DIGEST if row is None else row[0]
        same = hmac.compare_digest(digest, self._digest(secret))
        if row is None or not same:
            return None
        _, expires, revoked, org_barred, account_barred, *found = row
        over = expires is not None and expires <= now
        if over or revoked is not None or org_barred or account_barred:
            return None
        return credential(found)

    def tokens(self, org_id: str | None = None) -> list[Token]:
        """See `AccountStore.tokens`."""
        if org_id is None:
            rows = self._database.rows(f"{_LISTED} ORDER BY t.created, t.position")
        else:
            rows = self._database.rows(
                f"{_LISTED} WHERE t.org_id = ? ORDER BY t.created, t.position", (org_id,)
            )
        return [_token(row) for row in rows]

    def rotate_token(self, token_id: str, *, overlap: int, now: int) -> NewToken:
        """See `AccountStore.rotate_token`."""
        if overlap < 0:
            raise InputError("an overlap is not negative", where="overlap")
        with self._database.write() as connection:
            old = _require_token(connection, token_id)
            made = self._insert_token(
                connection, old.org_id, old.name, old.scopes, old.expires, old.account_id
            )
            end = now + overlap if old.expires is None else min(old.expires, now + overlap)
            replaced = connection.execute(
                "UPDATE token SET successor = ?, expires = ?"
                " WHERE id = ? AND successor IS NULL AND revoked IS NULL",
                (made.token.id, end, token_id),
            )
            if replaced.rowcount != 1:
                raise ConflictError("the token was already replaced or revoked", where=token_id)
        return made

    def revoke_token(self, token_id: str, *, now: int) -> None:
        """See `AccountStore.revoke_token`."""
        with self._database.write() as connection:
            _require_token(connection, token_id)
            connection.execute(
                "UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, token_id)
            )

    def _insert_token(
        self,
        connection: Connection,
        org_id: str,
        name: str,
        scopes: frozenset[str],
        expires: int | None,
        account_id: str | None,
    ) -> NewToken:
        # 60 random bits name the token, 256 keep it; both without '_', which parts them.
        prefix = base64.b32encode(secrets.token_bytes(8)).decode().lower()[:12]
        secret = f"{TOKEN_MARK}_{prefix}_{secrets.token_hex(32)}"
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
            account_id=account_id,
        )
        connection.execute(
            "INSERT INTO token (id, org_id, name, prefix, digest, scopes, created, expires,"
            " account_id, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?,"
            " (SELECT COALESCE(MAX(position), 0) + 1 FROM token))",
            (
                token.id,
                org_id,
                name,
                prefix,
                self._digest(secret),
                " ".join(sorted(scopes)),
                token.created,
                expires,
                account_id,
            ),
        )
        return NewToken(token, secret)

    def _digest(self, secret: str) -> bytes:
        octets = secret.encode("utf-8", "surrogatepass")
        return hmac.digest(self._database.token_key, octets, hashlib.sha256)


def credential(row: Any) -> Credential:
    """(id, org_id, account_id, roles, scopes, government) as read from a table."""
    found_id, org_id, account_id, roles, scopes, government = row
    return Credential(
        found_id,
        org_id,
        account_id,
        ORDINARY_ROLES if account_id is None else frozenset(map(Role, roles.split())),
        frozenset(scopes.split()),
        government=bool(government),
    )


def _prefix(secret: str) -> str:
    mark, _, rest = secret.partition("_")
    prefix, _, _ = rest.partition("_")
    # What is no token of ours is looked up all the same, as a prefix that nobody has.
    return prefix if mark == TOKEN_MARK and prefix.isascii() else ""


def _require_token(connection: Connection, token_id: str) -> Token:
    row = connection.execute(f"{_LISTED} WHERE t.id = ?", (token_id,)).fetchone()
    if row is None:
        raise InputError("there is no such token", where=token_id)
    return _token(row)


def _require_account_of(connection: Connection, account_id: str, org_id: str) -> None:
    row = connection.execute("SELECT org_id FROM account WHERE id = ?", (account_id,)).fetchone()
    if row is None or row[0] != org_id:
        raise InputError("the organisation has no such account", where=account_id)


def _org(row: Any) -> Org:
    return Org(row[0], row[1], row[2], disabled=bool(row[3]), government=bool(row[4]))


def _token(row: Any) -> Token:
    token_id, org_id, name, prefix, scopes, *rest = row
    return Token(token_id, org_id, name, prefix, frozenset(scopes.split()), *rest)
