"""Two administrators let one of them read what neither may."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from hub.errors import AccessError, ConflictError, InputError
from hub.store.audit import Audit
from hub.store.interface import BREAK_GLASS_SECONDS, BREAK_GLASS_WAIT
from hub.store.logins import require_account
from hub.store.records import (
    Account,
    AccountKind,
    AuditNote,
    BreakGlass,
    Credential,
    Role,
)
from hub.store.sql import Connection

_GLASS: Final = (
    "SELECT id, account_id, collections, reason, seconds, created, witnesses, approver, opened,"
    " ended FROM break_glass"
)
_OTHER_ADMINS: Final = (
    "SELECT a.id, a.roles, t.id FROM account a JOIN org o ON o.id = a.org_id"
    " JOIN token t ON t.account_id = a.id AND t.revoked IS NULL"
    " AND (t.expires IS NULL OR t.expires > ?)"
    " WHERE a.id <> ? AND a.kind = 'person' AND NOT a.disabled AND NOT o.disabled"
)
_ISSUED: Final = (
    "SELECT token_id, detail FROM audit WHERE event IN ('token.issue', 'token.rotate') ORDER BY seq"
)
_HOLDERS: Final = "SELECT id, account_id FROM token"
_LONGEST_REASON: Final = 1000


class BreakGlasses(Audit):
    """`BreakGlassStore` and `AuditStore`, on either engine."""

    def request_glass(
        self, credential: Credential, collections: frozenset[str], *, reason: str, seconds: int
    ) -> BreakGlass:
        """See `BreakGlassStore.request_glass`."""
        account_id = credential.account_id or ""
        _check_request(collections, reason, seconds)
        now = self._clock.seconds()
        with self._database.write() as connection:
            _require_admin(require_account(connection, account_id))
            if "write" not in credential.scopes:
                raise AccessError("a token that may write is needed to ask for this")
            for one in sorted(collections):
                if not connection.execute(
                    "SELECT 1 FROM collection WHERE id = ?", (one,)
                ).fetchone():
                    raise InputError("there is no such collection", where=one)
            witnesses = _other_administrators(connection, credential, now)
            made = BreakGlass(
                str(uuid.uuid4()),
                account_id,
                collections,
                reason,
                seconds,
                now,
                witnesses,
                approver=None,
                opened=None,
                ended=None,
            )
            connection.execute(
                "INSERT INTO break_glass (id, account_id, collections, reason, seconds, created,"
                " witnesses, position) VALUES (?, ?, ?, ?, ?, ?, ?,"
                " (SELECT COALESCE(MAX(position), 0) + 1 FROM break_glass))",
                (
                    made.id,
                    account_id,
                    " ".join(sorted(collections)),
                    reason,
                    seconds,
                    now,
                    " ".join(sorted(witnesses)),
                ),
            )
            self._note(connection, "break-glass.request", made, credential, {})
        return made

    def approve_glass(
        self,
        glass_id: str,
        credential: Credential,
        *,
        now: int,
        concerns: Mapping[str, frozenset[str]],
    ) -> BreakGlass:
        """See `BreakGlassStore.approve_glass`."""
        with self._database.write() as connection:
            glass = _require(connection, glass_id)
            self._check_approver(connection, glass, credential)
            if glass.opened is not None or glass.ended is not None:
                raise ConflictError("it was approved or ended already", where=glass_id)
            if not glass.created <= now < glass.created + BREAK_GLASS_WAIT:
                raise ConflictError(
                    "nobody approved it in time", where=glass_id, hint="request it again"
                )
            approved = connection.execute(
                "UPDATE break_glass SET approver = ?, opened = ?"
                " WHERE id = ? AND opened IS NULL AND ended IS NULL",
                (credential.account_id, now, glass_id),
            )
            if approved.rowcount != 1:
                raise ConflictError("it was approved or ended already", where=glass_id)
            found = _require(connection, glass_id)
            self._note(connection, "break-glass.open", found, credential, concerns)
            return found

    def _check_approver(
        self, connection: Connection, glass: BreakGlass, credential: Credential
    ) -> None:
        if credential.account_id is None:
            raise AccessError("a person approves, with a token of an account of hers")
        if credential.account_id == glass.account_id:
            raise AccessError(
                "who asked cannot approve", hint="it takes two different administrators"
            )
        account = require_account(connection, credential.account_id)
        if account.disabled or account.kind is not AccountKind.PERSON:
            raise AccessError("a person approves, whose account is not barred")
        if Role.ADMIN not in account.roles or "write" not in credential.scopes:
            raise AccessError("only an administrator approves, with a token that may write")
        if credential.id not in glass.witnesses:
            raise AccessError(
                "this administrator, or the token, was made after the request",
                hint="another one approves it, with a token issued before",
            )
        # The role of who asked may be gone since.
        _require_admin(require_account(connection, glass.account_id))

    def end_glass(
        self,
        glass_id: str,
        credential: Credential | None,
        *,
        now: int,
        concerns: Mapping[str, frozenset[str]],
    ) -> BreakGlass:
        """See `BreakGlassStore.end_glass`."""
        with self._database.write() as connection:
            _require(connection, glass_id)
            ended = connection.execute(
                "UPDATE break_glass SET ended = ? WHERE id = ? AND ended IS NULL", (now, glass_id)
            )
            found = _require(connection, glass_id)
            if ended.rowcount == 1:
                self._note(connection, "break-glass.end", found, credential, concerns)
            return found

    def _note(
        self,
        connection: Connection,
        event: str,
        glass: BreakGlass,
        credential: Credential | None,
        concerns: Mapping[str, frozenset[str]],
    ) -> None:
        """Lines by the same commit, one for each collection: nobody learns of another's."""
        asker = require_account(connection, glass.account_id)
        detail = {
            "glass": glass.id,
            "account": asker.name,
            "reason": glass.reason,
            "seconds": str(glass.seconds),
        }
        if glass.approver is not None:
            detail["approver"] = require_account(connection, glass.approver).name
        if glass.until is not None:
            detail["until"] = str(glass.until)
        notes = [
            AuditNote(
                event,
                asker.org_id,
                None if credential is None else credential.id,
                one,
                detail,
                concerns.get(one, frozenset()),
            )
            for one in sorted(glass.collections)
        ]
        self.audit_within(connection, notes)

    def glasses(self) -> list[BreakGlass]:
        """See `BreakGlassStore.glasses`."""
        return [_glass(row) for row in self._database.rows(f"{_GLASS} ORDER BY created, position")]

    def open_glass(self, account_id: str, collection_id: str, *, now: int) -> str | None:
        """See `BreakGlassStore.open_glass`."""
        rows = self._database.rows(
            f"{_GLASS} WHERE account_id = ? AND opened <= ? AND ended IS NULL", (account_id, now)
        )
        for glass in map(_glass, rows):
            if glass.open_at(now) and collection_id in glass.collections:
                return glass.id
        return None


def _check_request(collections: frozenset[str], reason: str, seconds: int) -> None:
    if not reason.strip() or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise InputError(f"a reason is 1 to {_LONGEST_REASON} printable characters", where="reason")
    if not 0 < seconds <= BREAK_GLASS_SECONDS:
        hours = BREAK_GLASS_SECONDS // 3600
        raise InputError(f"glass is broken for at most {hours} hours", where="hours")
    if not collections:
        raise InputError("a break-glass names what may be read", where="collections")


def _other_administrators(connection: Connection, asker: Credential, now: int) -> frozenset[str]:
    """Tokens that can approve what this credential asks for now.

    Frozen with the request: whoever is made an administrator, or is issued a token, to approve this
    very request does not count; nor does a token that who asks has issued, whenever that was.
    """
    rows = connection.execute(_OTHER_ADMINS, (now, asker.account_id)).fetchall()
    known = _in_one_hand(connection, asker)
    found = frozenset(
        row[2] for row in rows if Role.ADMIN in row[1].split() and row[2] not in known
    )
    if not found:
        raise ConflictError(
            "no other administrator is there to approve it",
            hint="it takes a second person with the role admin, and a token that was made before,"
            " and not by who asks",
        )
    return found


def _in_one_hand(connection: Connection, asker: Credential) -> set[str]:
    """Tokens that who asks may know: whoever issued a token may have kept its text.

    Those of the asking account, of each that issued the asking token or the token that did, and all
    that any of these have issued. Who issued what is read from the audit log.
    """
    holder = {row[0]: row[1] for row in connection.execute(_HOLDERS).fetchall()}
    # What the machine's operator issued is issued by no token.
    issued = [
        (token_id, by)
        for token_id, detail in connection.execute(_ISSUED).fetchall()
        if (by := json.loads(detail).get("by")) in holder
    ]
    known = {asker.id}
    for token_id, by in reversed(issued):
        if token_id in known:
            known.add(by)
    hands = {holder.get(one) for one in known} - {None}
    known |= {token_id for token_id, account_id in holder.items() if account_id in hands}
    for token_id, by in issued:
        if by in known:
            known.add(token_id)
    return known


def _require_admin(account: Account) -> None:
    person = account.kind is AccountKind.PERSON and not account.disabled
    if not person or Role.ADMIN not in account.roles:
        raise AccessError("only a person with the role admin asks for this", where=account.name)


def _require(connection: Connection, glass_id: str) -> BreakGlass:
    row = connection.execute(f"{_GLASS} WHERE id = ?", (glass_id,)).fetchone()
    if row is None:
        raise InputError("there is no such break-glass request", where=glass_id)
    return _glass(row)


def _glass(row: Any) -> BreakGlass:
    glass_id, account_id, collections, reason, seconds, created, witnesses, *rest = row
    return BreakGlass(
        glass_id,
        account_id,
        frozenset(collections.split()),
        reason,
        seconds,
        created,
        frozenset(witnesses.split()),
        *rest,
    )
