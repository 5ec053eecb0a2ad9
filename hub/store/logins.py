"""Accounts of organisations, and the certificates and OAuth subjects bound to them."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from hub.errors import ConflictError, InputError
from hub.store.accounts import credential
from hub.store.clock import GuardedClock
from hub.store.records import Account, AccountKind, Credential, Login, LoginKind, Role
from hub.store.sql import Connection, Sql, checked_name, require_org

_ACCOUNT: Final = "SELECT id, org_id, name, kind, roles, created, disabled FROM account"
_LOGIN: Final = (
    "SELECT id, account_id, kind, issuer, subject, name, scopes, created, expires FROM login"
)
_CREDENTIAL: Final = (
    "SELECT l.id, a.org_id, a.id, a.roles, l.scopes, o.government"
    " FROM login l JOIN account a ON a.id = l.account_id JOIN org o ON o.id = a.org_id"
    " WHERE l.kind = ? AND l.issuer = ? AND l.subject = ?"
    " AND NOT a.disabled AND NOT o.disabled AND (l.expires IS NULL OR l.expires > ?)"
)
_SCOPES: Final = frozenset({"read", "write"})
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST_SUBJECT: Final = 500


class Logins:
    """`LoginStore`, on either engine."""

    _database: Sql
    _clock: GuardedClock

    def create_account(
        self, org_id: str, name: str, kind: AccountKind, roles: frozenset[Role]
    ) -> Account:
        """See `LoginStore.create_account`."""
        made = Account(
            str(uuid.uuid4()),
            org_id,
            checked_name(name),
            kind,
            _checked_roles(roles),
            self._clock.seconds(),
            disabled=False,
        )
        with self._database.write() as connection:
            require_org(connection, org_id)
            if connection.execute(
                "SELECT 1 FROM account WHERE org_id = ? AND name = ?", (org_id, name)
            ).fetchone():
                raise ConflictError("the organisation has an account of this name", where=name)
            connection.execute(
                "INSERT INTO account (id, org_id, name, kind, roles, created, disabled, position)"
                " VALUES (?, ?, ?, ?, ?, ?, ?,"
                " (SELECT COALESCE(MAX(position), 0) + 1 FROM account))",
                (made.id, org_id, name, kind.value, _words(roles), made.created, False),
            )
        return made

    def account(self, account_id: str) -> Account | None:
        """See `LoginStore.account`."""
        row = self._database.row(f"{_ACCOUNT} WHERE id = ?", (account_id,))
        return None if row is None else account_of(row)

    def accounts(self, org_id: str | None = None) -> list[Account]:
        """See `LoginStore.accounts`."""
        if org_id is None:
            rows = self._database.rows(f"{_ACCOUNT} ORDER BY created, position")
        else:
            rows = self._database.rows(
                f"{_ACCOUNT} WHERE org_id = ? ORDER BY created, position", (org_id,)
            )
        return [account_of(row) for row in rows]

    def set_roles(self, account_id: str, roles: frozenset[Role]) -> None:
        """See `LoginStore.set_roles`."""
        self._change(account_id, "roles", _words(_checked_roles(roles)))

    def disable_account(self, account_id: str, *, disabled: bool = True) -> None:
        """See `LoginStore.disable_account`."""
        self._change(account_id, "disabled", disabled)

    def _change(self, account_id: str, column: str, value: object) -> None:
        with self._database.write() as connection:
            require_account(connection, account_id)
            connection.execute(f"UPDATE account SET {column} = ? WHERE id = ?", (value, account_id))

    def add_login(
        self,
        account_id: str,
        kind: LoginKind,
        subject: str,
        *,
        issuer: str = "",
        name: str = "",
        scopes: frozenset[str] = _SCOPES,
        expires: int | None = None,
    ) -> Login:
        """See `LoginStore.add_login`."""
        _check_subject(kind, issuer, subject)
        if not scopes or scopes - _SCOPES:
            raise InputError(f"scopes are one or more of {sorted(_SCOPES)}", where="scopes")
        made = Login(
            str(uuid.uuid4()),
            account_id,
            kind,
            issuer,
            subject,
            name,
            scopes,
            self._clock.seconds(),
            expires,
        )
        with self._database.write() as connection:
            require_account(connection, account_id)
            if connection.execute(
                f"{_LOGIN} WHERE kind = ? AND issuer = ? AND subject = ?",
                (kind.value, issuer, subject),
            ).fetchone():
                raise ConflictError("it is bound to an account already", where=subject)
            connection.execute(
                "INSERT INTO login (id, account_id, kind, issuer, subject, name, scopes, created,"
                " expires, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?,"
                " (SELECT COALESCE(MAX(position), 0) + 1 FROM login))",
                (
                    made.id,
                    account_id,
                    kind.value,
                    issuer,
                    subject,
                    name,
                    " ".join(sorted(scopes)),
                    made.created,
                    expires,
                ),
            )
        return made

    def logins(self, account_id: str | None = None) -> list[Login]:
        """See `LoginStore.logins`."""
        if account_id is None:
            rows = self._database.rows(f"{_LOGIN} ORDER BY created, position")
        else:
            rows = self._database.rows(
                f"{_LOGIN} WHERE account_id = ? ORDER BY created, position", (account_id,)
            )
        return [_login(row) for row in rows]

    def remove_login(self, login_id: str) -> None:
        """See `LoginStore.remove_login`."""
        with self._database.write() as connection:
            gone = connection.execute("DELETE FROM login WHERE id = ?", (login_id,))
            if gone.rowcount != 1:
                raise InputError("there is no such login", where=login_id)

    def login(self, kind: LoginKind, issuer: str, subject: str, *, now: int) -> Credential | None:
        """See `LoginStore.login`."""
        row = self._database.row(_CREDENTIAL, (kind.value, issuer, subject, now))
        return None if row is None else credential(row)


def require_account(connection: Connection, account_id: str) -> Account:
    """The account. Raises InputError when there is none."""
    row = connection.execute(f"{_ACCOUNT} WHERE id = ?", (account_id,)).fetchone()
    if row is None:
        raise InputError("there is no such account", where=account_id)
    return account_of(row)


def account_of(row: Any) -> Account:
    """A row of the table `account`."""
    found_id, org_id, name, kind, roles, created, disabled = row
    return Account(
        found_id,
        org_id,
        name,
        AccountKind(kind),
        frozenset(map(Role, roles.split())),
        created,
        disabled=bool(disabled),
    )


def _checked_roles(roles: frozenset[Role]) -> frozenset[Role]:
    if not roles:
        raise InputError("an account has at least one role", where="roles")
    return roles


def _words(roles: frozenset[Role]) -> str:
    return " ".join(sorted(roles))


def _check_subject(kind: LoginKind, issuer: str, subject: str) -> None:
    if kind in (LoginKind.CERTIFICATE, LoginKind.KEY):
        if issuer or not _HASH.fullmatch(subject):
            raise InputError("a certificate is bound by a SHA-256 in hex", where="subject")
        return
    if not issuer:
        raise InputError("an OAuth subject needs its issuer", where="issuer")
    for name, text in (("issuer", issuer), ("subject", subject)):
        if not text or len(text) > _LONGEST_SUBJECT or not text.isprintable():
            raise InputError(
                f"1 to {_LONGEST_SUBJECT} printable characters are expected", where=name
            )


def _login(row: Any) -> Login:
    login_id, account_id, kind, issuer, subject, name, scopes, created, expires = row
    return Login(
        login_id,
        account_id,
        LoginKind(kind),
        issuer,
        subject,
        name,
        frozenset(scopes.split()),
        created,
        expires,
    )
