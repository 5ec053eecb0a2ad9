"""What alarms look like."""

from __future__ import annotations

import pytest

from hub.cli.alarms import hint_of, show_alarm


def test_alarms_say_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    show_alarm("circle: no-quorum: 0 of 1 witnesses", err=False, since=1_790_000_000)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "ALARM: 2026-09-21 14:13 UTC: circle: no-quorum: 0 of 1 witnesses"
    assert "channel log circle --accept --witness KEY, or --no-witness" in second


def test_hints_follow_the_kind() -> None:
    assert "channel audit circle" in (hint_of("circle: withheld: the log has more") or "")
    assert "channel audit two: words" in (hint_of("two: words: rollback: set back") or "")
    assert hint_of("circle: bad-checkpoint: says itself") is None
    assert hint_of("forged") is None
