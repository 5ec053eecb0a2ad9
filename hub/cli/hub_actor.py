"""On whose behalf a command changes the hub: the machine's operator, or the holder of a token."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from hub.cli.variables import VariableOption
from hub.errors import AccessError, InputError, StoreError
from hub.store.interface import Store
from hub.store.records import Account, Credential, NewToken, Role

_VARIABLE: Final = "STILLWATCH_HUB_TOKEN_FILE"
_LONGEST: Final = 1000

actor_option: Final = click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar=_VARIABLE,
    help=f"Act as the account of the API token in this file (or {_VARIABLE}), within its rights.",
)
person_option: Final = click.option(
    "--token-file",
    cls=VariableOption,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar=_VARIABLE,
    required=True,
    help=f"Your own API token, in a file (or {_VARIABLE}).",
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who runs a command; without a credential it is who owns the data directory."""

    store: Store
    credential: Credential | None

    def manage(self, org_id: str, roles: frozenset[Role] = frozenset()) -> None:
        """Refuse what a steward or administrator may not manage. Raises AccessError."""
        from hub.server.policy import manages

        if self.credential is not None and not manages(self.credential, org_id, roles):
            raise AccessError(
                "this account may not manage that",
                hint="a steward manages its own organisation, and no administrators or witnesses",
            )

    def operate(self) -> None:
        """Refuse what only administrators do. Raises AccessError."""
        found = self.credential
        if found is not None and (Role.ADMIN not in found.roles or "write" not in found.scopes):
            raise AccessError("only an administrator may do this")

    def audit(
        self,
        event: str,
        org_id: str | None,
        *,
        token_id: str | None = None,
        collection_id: str | None = None,
        detail: Mapping[str, str] | None = None,
        concerns: frozenset[str] = frozenset(),
    ) -> None:
        """Append a line that the organisation is shown, and those that it concerns besides."""
        by = "operator" if self.credential is None else self.credential.id
        self.store.audit(
            event,
            org_id=org_id,
            token_id=token_id,
            collection_id=collection_id,
            detail={**(detail or {}), "by": by},
            concerns=concerns | ({org_id} if org_id is not None else set()),
        )


def acting(store: Store, token_file: Path | None) -> Actor:
    """Who runs the command. Raises InputError, AccessError."""
    return Actor(store, None if token_file is None else credential_in(store, token_file))


def credential_in(store: Store, token_file: Path) -> Credential:
    """What the token in a file stands for.

    Raises:
        InputError: the file cannot be read.
        AccessError: the token is not valid.
    """
    try:
        secret = token_file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("the token cannot be read", where=str(token_file)) from error
    found = store.credential(secret[:_LONGEST], now=int(time.time()))
    if found is None:
        raise AccessError(
            "the token is not valid: expired, revoked, or its account is barred",
            where=str(token_file),
        )
    return found


def find_account(store: Store, account: str, *, org_id: str | None = None) -> Account:
    """An account by id, by `organisation/name`, or by a name that only one has.

    Args:
        store: where accounts are.
        account: what was typed.
        org_id: look for a bare name in this organisation only.
    Raises:
        InputError: there is none, or several have this name.
    """
    found = store.account(account)
    if found is not None:
        return found
    org_name, slash, name = account.partition("/")
    org = store.org(org_name) if slash else None
    if org is not None:
        named = [one for one in store.accounts(org.id) if one.name == name]
    else:
        named = [one for one in store.accounts(org_id) if one.name == account]
    if len(named) == 1:
        return named[0]
    raise InputError(
        "several organisations have an account of this name"
        if named
        else "there is no such account",
        where=account,
        hint="name it by id or as ORGANISATION/NAME: stillwatch hub account list",
    )


def write_secret(out: Path, issued: NewToken) -> None:
    """Write a token to a new file of mode 0600. Raises StoreError."""
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{issued.secret}\n")
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(out)) from error
