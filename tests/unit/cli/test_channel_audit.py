"""`stillwatch channel audit`, and `--verify` for those who have no home."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.channel.evidence import build
from hub.cli.exits import ALARM, ATTENTION, OK
from hub.cli.main import cli
from hub.cli.options import load_home
from hub.errors import InputError
from tests.unit.channel.cast import NOW
from tests.unit.channel.evidence.world import KEY, World, note, some
from tests.unit.cli.shell import Shell


@pytest.fixture
def proofs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """A proof, one that rests on somebody's word, and a file that proves nothing."""
    monkeypatch.setattr("hub.cli.channel_audit.time.time", lambda: NOW + 2_000)
    leaves, facts = some(9), World().facts
    files = {
        "proven.json": build.rollback(facts, KEY, (note(leaves), note(leaves[:6], NOW + 101))),
        "word.json": build.rollback(facts, KEY, (note(leaves), note(leaves[:6], NOW + 99))),
        "nothing.json": build.rollback(facts, KEY, (note(leaves), note(leaves))),
    }
    for name, proof in files.items():
        (tmp_path / name).write_bytes(proof.to_bytes())
    first, second, third = (tmp_path / name for name in files)
    return first, second, third


def verify(*words: object) -> tuple[int, str]:
    """Exit code and all that is said."""
    given = ["channel", "audit", "--verify", *map(str, words), "--home", "/nonexistent"]
    result = CliRunner().invoke(cli, given)
    return result.exit_code, result.output


def test_what_a_file_proves_is_said_in_words(proofs: tuple[Path, Path, Path]) -> None:
    code, said = verify(proofs[0])
    assert code == OK
    assert said.startswith(f"{proofs[0]}: rollback, proven\n")
    assert f"  channel {World().channel} (compare it with yours)\n" in said
    assert "  against the hub's log hub.example/" in said
    assert "claimed only" not in said
    code, said = verify(proofs[1])
    assert code == ATTENTION
    assert "not proven: it rests on its maker's word" in said
    assert "  claimed only: That the hub showed the smaller one after the larger one.\n" in said


def test_a_file_that_proves_nothing_decides_the_exit_code(
    proofs: tuple[Path, Path, Path],
) -> None:
    code, said = verify(*proofs)
    assert code == 3
    assert "are of one size" in said
    assert "rollback, proven" in said
    assert verify(*proofs[:2])[0] == ATTENTION
    assert verify(proofs[0].parent / "none.json")[0] == 2


def test_the_channel_may_be_required(proofs: tuple[Path, Path, Path]) -> None:
    assert verify("--channel", World().channel, proofs[0])[0] == OK
    code, said = verify("--channel", "0" * 64, proofs[0])
    assert (code, "is of another channel" in said) == (3, True)


def test_files_as_json(proofs: tuple[Path, Path, Path]) -> None:
    result = CliRunner().invoke(cli, ["channel", "audit", "--verify", *map(str, proofs), "--json"])
    found = json.loads(result.stdout)["files"]
    assert [each.get("conclusive") for each in found] == [True, False, None]
    assert found[2]["problem"].endswith("checkpoints: are of one size")


def test_an_audit_of_a_channel(shell: Shell) -> None:
    shell.admit()
    said = shell.run("provider", "channel", "audit", "circle").stdout
    assert "nothing is wrong" in said
    found = shell.json("provider", "channel", "audit", "circle")
    assert (found["problems"], found["proofs"], found["copied"]) == ([], [], [])
    assert found["messages"] > 0


def test_an_audit_that_finds_something(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    # Somebody with the disk altered what is held.
    with load_home(tmp_path / "provider", None) as home:
        home.state.run("UPDATE signed SET signature=zeroblob(3373) WHERE type='epoch'")
    result = shell.run("provider", "channel", "audit", "circle", "--out", str(tmp_path / "out"))
    assert result.return_value == ALARM
    assert "this home was altered" in result.stdout


@pytest.mark.parametrize(
    "words", [[], ["circle", "other"], ["circle", "--channel", "00"], ["--verify"]]
)
def test_arguments_that_do_not_fit(shell: Shell, words: list[str]) -> None:
    shell.init("provider")
    shell.fails(InputError, "provider", "channel", "audit", *words)
