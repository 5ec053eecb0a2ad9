"""Revision 0003 on a hub with data: nothing is lost, and nobody gains by going back."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import create_engine, text

from hub.store.records import AccountKind, Role
from hub.store.sqlite import SqliteStore
from hub.store.steps import alembic_config

_NOW = 2_000_000_000


def test_down_and_up_with_accounts(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = SqliteStore.open(path)
    orgs = [store.create_org(name) for name in ("b", "a", "c")]
    plain = store.create_token(orgs[0].id)
    reader = store.create_account(orgs[0].id, "r", AccountKind.SERVICE, frozenset({Role.LIAISON}))
    bound = store.create_token(orgs[0].id, account_id=reader.id)
    store.audit("event", concerns=frozenset({orgs[0].id}))
    store.close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0002")
        assert connection.execute(text("SELECT count(*) FROM token")).scalar() == 2
    engine.dispose()
    again = SqliteStore.open(path)
    assert [org.name for org in again.orgs()] == ["b", "a", "c"]
    assert again.find_token(plain.secret, now=_NOW) is not None
    # As a token without an account it would publish.
    assert again.find_token(bound.secret, now=_NOW) is None
    assert again.verify_audit() == 1
    made = again.create_org("d")
    assert again.orgs()[-1] == made
    again.close()
