"""Who asks to join, who is let in, and who comes back."""

from __future__ import annotations

from pathlib import Path

from hub.errors import ConflictError, InputError, VerificationError
from tests.unit.cli.shell import Shell
from tests.unit.client.memory_hub import C1


def _thief(shell: Shell) -> list[str]:
    shell.init("thief")
    given = ("--invitation-file", shell.path("invitation"), "--name", "circle")
    joined = shell.json("thief", "join", *given, "--token-file", shell.path("provider.token"))
    return [str(each) for each in joined["words"]]


def test_words_tell_a_thief_of_the_invitation_apart(shell: Shell) -> None:
    shell.create()
    own = [str(each) for each in shell.join()["words"]]
    stolen = _thief(shell)
    error = shell.fails(InputError, "lab", "channel", "approve", "circle", "--yes-words-match")
    assert "several requests wait" in str(error)
    assert " ".join(own) in str(error)
    assert " ".join(stolen) in str(error)
    approve = ("channel", "approve", "circle", "--organisation", "Provider", "--words")
    shell.fails(VerificationError, "lab", *approve, "quite other words")
    done = shell.run("lab", *approve, " ".join(own))
    assert " ".join(own) not in done.stderr
    assert "used before" in done.stderr
    # What can never be approved is said once, and gone.
    assert shell.hub.collections[f"{C1}-inbox"].rows == []
    error = shell.fails(ConflictError, "lab", *approve, " ".join(own))
    assert "no join request waits" in str(error)


def test_requests_are_listed_and_refused(shell: Shell) -> None:
    shell.create()
    own = [str(each) for each in shell.join()["words"]]
    assert "asks to join: Provider" in shell.run("lab", "pull").stdout
    assert "channel requests circle" in shell.run("lab", "status").stdout
    stolen = _thief(shell)
    listed = shell.json("lab", "channel", "requests", "circle")["requests"]
    assert sorted(each["words"] for each in listed) == sorted([own, stolen])
    shown = shell.run("lab", "channel", "requests", "circle").stdout
    assert all(word in shown for word in (*own, *stolen, "Provider (read, report)"))
    refuse = ("channel", "refuse", "circle")
    shell.fails(InputError, "lab", *refuse)
    shell.fails(InputError, "lab", *refuse, "artifact--none")
    shell.run("lab", *refuse, "--words", " ".join(stolen))
    shell.run("lab", "channel", "approve", "circle", "--yes-words-match")
    members = shell.json("lab", "channel", "members", "circle")["members"]
    assert own in [each["words"] for each in members]
    shell.run("lab", "pull")
    assert "asks to join" not in shell.run("lab", "status").stdout


def test_a_request_of_another_name_is_not_there(shell: Shell) -> None:
    shell.create()
    shell.join()
    words = ("channel", "approve", "circle", "--organisation", "Betty", "--yes-words-match")
    error = shell.fails(InputError, "lab", *words)
    assert "no request by Betty; waiting: Provider" in str(error)


def test_an_invitation_is_not_written_over(shell: Shell) -> None:
    shell.create()
    path = shell.invite()
    before = Path(path).read_text()
    words = ("channel", "invite", "circle", "--organisation", "X", "--role", "read", "--out", path)
    shell.fails(ConflictError, "lab", *words)
    assert Path(path).read_text() == before


def test_joining_with_the_home_of_another_is_warned_of(shell: Shell) -> None:
    shell.create()
    shell.init("provider")
    shell.init("gamma")
    given = ("--invitation-file", shell.invite(), "--token-file", shell.path("provider.token"))
    said = shell.run("gamma", "join", *given, "--name", "circle").stderr
    assert "the invitation is for Provider, this home is that of Gamma" in said
    assert "warning" not in shell.run("provider", "join", *given, "--name", "circle").stderr
