"""The members' commands in this process, over a hub in memory."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hub.cli.exits import ALARM, ATTENTION, EXPIRED, OK, exit_code
from hub.cli.main import cli
from hub.errors import (
    AccessError,
    ConflictError,
    InputError,
    VerificationError,
)
from tests.unit.cli.shell import Shell
from tests.unit.client.circle import write_files
from tests.unit.client.memory_hub import API_ROOT, C1

ROOT = Path(__file__).parents[3]


def test_init_shows_the_words_twice_the_same(shell: Shell) -> None:
    made = shell.init("lab")
    assert len(made["words"]) == 16
    assert made["fingerprint"].startswith("SHA256:")
    shell.fails(ConflictError, "lab", "init", "--organisation", "Lab", "--key-file")


def test_init_with_a_passphrase_file(shell: Shell) -> None:
    secret = shell.folder / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text("correct horse battery staple\n")
    words = ("--organisation", "Lab", "--passphrase-file", str(secret))
    shell.run("lab", "init", *words)
    opened = shell.run("lab", "status", "--passphrase-file", str(secret))
    assert "Lab (identity--" in opened.stdout
    assert "no terminal" in str(shell.fails(AccessError, "lab", "status"))
    secret.write_text("wrong\n")
    error = shell.fails(AccessError, "lab", "status", "--passphrase-file", str(secret))
    assert "wrong" not in str(error)
    shell.fails(InputError, "other", "init", *words, "--key-file")


def test_a_readable_secret_file_is_warned_about(shell: Shell) -> None:
    (shell.folder / "lab.token").chmod(0o644)
    shell.init("lab")
    hub = ("--hub", API_ROOT, "--collection", C1, "--token-file", shell.path("lab.token"))
    assert "chmod 600" in shell.run("lab", "channel", "create", "circle", *hub).stderr


def test_both_sides_see_the_same_words(shell: Shell) -> None:
    lab = shell.create()
    joined = shell.join()
    assert joined["owner_words"] == [lab["words"]]
    refused = shell.fails(
        VerificationError, "lab", "channel", "approve", "circle", "--words", "some other words"
    )
    assert "do not match" in str(refused)
    shell.fails(AccessError, "lab", "channel", "approve", "circle")
    shown = shell.run("lab", "channel", "approve", "circle", "--yes-words-match").stdout
    assert all(word in shown for word in joined["words"])
    shell.run("provider", "pull")
    rows = shell.json("provider", "channel", "members", "circle")["members"]
    assert [row["owner"] for row in rows].count(True) == 1


def test_join_by_file_and_over_standard_input(shell: Shell) -> None:
    shell.create()
    shell.init("provider")
    text = Path(shell.invite()).read_text()
    request = shell.path("request")
    words = ("join", "--invitation-file", "-", "--token-file", shell.path("provider.token"))
    shell.run("provider", *words, "--name", "circle", "--request-file", request, given=text)
    assert shell.hub.collections[f"{C1}-inbox"].rows == []
    done = shell.json(
        "lab", "channel", "approve", "circle", "--request", request, "--yes-words-match"
    )
    assert done["organisation"] == "Provider"
    error = shell.fails(ConflictError, "lab", "channel", "approve", "circle", "--request", request)
    assert "used before" in str(error)


@pytest.mark.parametrize("content", ["", "no invitation", "stillwatch-invite1:AAAA"])
def test_invitations_that_are_none(shell: Shell, content: str) -> None:
    shell.init("provider")
    path = shell.folder / "invitation"
    path.write_text(content)
    error = shell.fails(InputError, "provider", "join", "--invitation-file", str(path))
    assert error.message


def test_an_invitation_that_expired(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.create()
    shell.init("provider")
    path = shell.invite()
    late = int(time.time()) + 8 * 86_400
    monkeypatch.setattr("hub.cli.options.time.time", lambda: late)
    token = ("--token-file", shell.path("provider.token"))
    error = shell.fails(ConflictError, "provider", "join", "--invitation-file", path, *token)
    assert "expired" in str(error)
    assert "new one" in str(error.hint)


def test_an_invitation_to_another_hub_gets_no_token(shell: Shell) -> None:
    shell.create()
    shell.init("provider")
    path = shell.invite()
    asked = len(shell.hub.requests)
    words = ("--invitation-file", path, "--token-file", shell.path("provider.token"))
    theirs = ("--hub", "https://other-hub.example/stillwatch/")
    error = shell.fails(VerificationError, "provider", "join", *words, *theirs)
    assert "the token was not sent" in str(error.hint)
    assert len(shell.hub.requests) == asked
    shell.run("provider", "join", *words, "--hub", API_ROOT)


def test_a_join_request_of_another_channel_or_a_swapped_card(shell: Shell) -> None:
    shell.create()
    request = shell.path("request")
    shell.join("--request-file", request)
    raw = bytearray(Path(request).read_bytes())
    raw[len(raw) // 2] ^= 1
    Path(request).write_bytes(raw)
    with pytest.raises((InputError, VerificationError)):
        shell.run("lab", "channel", "approve", "circle", "--request", request)


def test_publish_refuses_what_looks_like_customers(shell: Shell) -> None:
    shell.create()
    table = Path(shell.path("customers.csv"))
    table.write_text("account_id,email,name\ncus-1,ann@company.example,Ann\n")
    error = shell.fails(InputError, "lab", "publish", str(table))
    assert "looks like a table of customers" in str(error)
    shell.run("lab", "publish", str(table), "--dry-run")
    assert shell.json("lab", "indicators")["indicators"] == []
    done = shell.run("lab", "publish", str(table), "--yes")
    assert "1 sealed message" in done.stdout or "2 sealed messages" in done.stdout
    table.write_text("email,campaign\n")
    assert "no rows" in str(shell.fails(InputError, "lab", "publish", str(table)))


def test_publish_dry_run_needs_no_network(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    files = [str(path) for path in write_files(tmp_path)]
    before = len(shell.hub.requests)
    out = shell.path("bundle.json")
    dry = shell.json("lab", "publish", *files, "--dry-run", "--out", out)
    assert len(shell.hub.requests) == before
    assert dry["counts"]["refused"] == 3
    content = Path(out).read_text()
    assert "mailbox-farm" not in content
    assert "555 0101" not in content
    assert "rubric and explain" not in content
    bundle = json.loads(content)
    assert len(bundle["objects"]) == dry["aggregate_objects"] + dry["detail_objects"]
    sent = shell.json("lab", "publish", *files)
    assert sent["counts"] == dry["counts"]
    shown = shell.run("lab", "publish", *files, "--verbose").stdout
    assert "published before, unchanged" in shown
    assert "mailbox-farm" not in shown
    assert "Nothing new to publish." in shown
    shell.fails(InputError, "lab", "publish", *files, "--out", out)


def test_facts_about_a_campaign_reach_its_aggregate(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    facts = tmp_path / "facts.json"
    facts.write_text('{"LANTERN": {"exchange_count": {"low": 1000000, "high": 2000000}}}')
    files = [str(path) for path in write_files(tmp_path)]
    shell.run("lab", "publish", *files, "--campaigns", str(facts))
    shell.run("provider", "pull")
    (view,) = shell.json("provider", "campaign", "list")["campaigns"]
    assert view["scale"]["exchange_count"] == {"low": 1_000_000, "high": 2_000_000}
    shown = shell.run("provider", "campaign", "show", "LANTERN").stdout
    assert "1,000,000 to 2,000,000" in shown
    assert "Provenance:" in shown
    facts.write_text('{"LANTERN": {"price": 3}}')
    shell.fails(InputError, "lab", "publish", *files, "--campaigns", str(facts))


def test_report_and_retract(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    rows = shell.json("lab", "publish", *[str(path) for path in write_files(tmp_path)])["rows"]
    target = next(row["indicators"][0] for row in rows if row["where"] == "proxies.csv:3")
    shell.run("provider", "pull")
    shell.fails(InputError, "provider", "report")
    shell.fails(InputError, "provider", "report", target, "--false-positive")
    said = shell.fails(
        InputError,
        "provider",
        "report",
        target,
        "--false-positive",
        "--reason",
        "it is a@b.example",
    )
    assert "a@b.example" not in str(said)
    shell.fails(InputError, "provider", "report", target.replace("indicator", "campaign"))
    moments = ("--first", "2026-11-02", "--last", "2026-11-01")
    shell.fails(InputError, "provider", "report", target, *moments)
    sent = shell.json("provider", "report", target, "--count", "4", "--first", "2026-11-02")
    assert sent["messages"] == 2
    shell.fails(AccessError, "provider", "retract", target)
    assert "reports about your indicators" in shell.run("lab", "pull").stdout
    assert f"seen 4 times by Provider: {target}" in shell.run("lab", "status").stdout
    assert shell.json("lab", "retract", target, "--reason", "an office")["withdrawn"] == [target]
    assert shell.json("lab", "retract", target)["withdrawn_before"] == [target]
    assert f"withdrawn by its publisher: {target}" in shell.run("provider", "pull").stdout
    shell.fails(InputError, "provider", "report", target)


def test_status_tells_levels_apart(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.admit()
    now = int(time.time())

    def level(at: int) -> tuple[int, str]:
        monkeypatch.setattr("hub.cli.status.time.time", lambda: at)
        result = shell.run("provider", "status", "--json")
        return int(result.return_value or result.exit_code), json.loads(result.stdout)["level"]

    assert level(now) == (OK, "ok")
    assert level(now + 80 * 86_400)[1] == "expired"
    assert level(now + 2 * 86_400)[1] == "attention"


def test_an_alarm_changes_the_exit_code(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    shell.run("lab", "publish", *[str(path) for path in write_files(tmp_path)])
    rows = shell.hub.collections[C1].rows
    date, body = rows[-1]
    payload = bytearray(base64.b64decode(body["payload_bin"]))
    payload[-1] ^= 1
    rows[-1] = (date, body | {"payload_bin": base64.b64encode(payload).decode()})
    home = ("--home", shell.path("provider"))
    codes = []
    for words in (("pull",), ("status",), ("status", "--acknowledge"), ("status",)):
        result = CliRunner().invoke(cli, [*words, *home])
        codes.append(result.exit_code)
        assert ("ALARM:" in result.output) is (result.exit_code == ALARM)
    assert codes == [ALARM, ALARM, ALARM, OK]


def test_removal_and_renewal(shell: Shell) -> None:
    shell.admit()
    shell.fails(AccessError, "lab", "channel", "remove", "circle", "Provider")
    shell.run("lab", "channel", "remove", "circle", "Provider", "--yes")
    assert shell.json("provider", "status")["channels"][0]["standing"] == "member"
    shell.run("provider", "pull")
    assert shell.json("provider", "status")["channels"][0]["standing"] == "removed"
    words = ("--organisation", "X", "--role", "read")
    shell.fails(AccessError, "provider", "channel", "invite", "circle", *words)
    assert shell.run("lab", "channel", "renew", "--if-needed", "--quiet").stdout == ""
    assert "nothing is due" in shell.run("lab", "channel", "renew", "--if-needed").stdout
    assert "issued epoch" in shell.run("lab", "channel", "renew", "circle").stdout


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_scripts(shell_name: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell_name])
    assert result.exit_code == 0
    assert "_STILLWATCH_COMPLETE" in result.output


def test_exit_codes_of_families() -> None:
    codes = [
        exit_code(InputError("")),
        exit_code(VerificationError("")),
        exit_code(AccessError("")),
    ]
    assert len({*codes, OK, ATTENTION, EXPIRED, ALARM}) == 7


def test_no_option_takes_a_secret_as_its_value() -> None:
    secret_words = ("token", "passphrase", "password", "secret", "invitation", "key")
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        for each in _leaves(command):
            for parameter in each.params:
                named = any(word in str(parameter.name) for word in secret_words)
                if named and isinstance(parameter, click.Option):
                    takes_file = isinstance(parameter.type, click.Path)
                    assert takes_file or parameter.is_flag, (each.name, parameter.name)


def _leaves(command: click.Command) -> list[click.Command]:
    if not isinstance(command, click.Group):
        return [command]
    context = click.Context(command)
    found = [command.get_command(context, name) for name in command.list_commands(context)]
    return [leaf for each in found if each is not None for leaf in _leaves(each)]


def test_an_error_is_one_message_without_a_trace(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "status", "--home", str(tmp_path / "none")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code(InputError(""))
    assert done.stderr.startswith("stillwatch: ")
    assert "try: stillwatch init" in done.stderr
    assert "Traceback" not in done.stderr
