"""Errors that name the place and the next step, and words that fit their number."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from hub.cli.main import cli
from hub.cli.pull import announce
from hub.client.aggregate import count_range
from hub.client.subscriber import Pulled
from hub.client.transport import HubAccount, checked_url, discover
from hub.errors import AccessError, ConflictError, InputError, TransportError
from hub.settings import ClientSettings
from tests.unit.cli.shell import Shell
from tests.unit.client.circle import write_files
from tests.unit.client.memory_hub import API_ROOT, C1

C2 = "00000000-0000-4000-8000-0000000000c2"


def _create(shell: Shell, name: str, collection: str) -> tuple[str, ...]:
    hub = ("--hub", API_ROOT, "--collection", collection, "--token-file", shell.path("lab.token"))
    return ("channel", "create", name, *hub)


def test_publish_of_refused_rows_only_is_an_error(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    bad = tmp_path / "bad.csv"
    bad.write_text("address\nnone\nneither\n")
    for more in ((), ("--dry-run",)):
        error = shell.fails(InputError, "lab", "publish", str(bad), *more)
        assert "every row was refused" in str(error)
        assert "bad.csv" in str(error)
    bad.write_text("address\nnone\n203.0.113.77\n")
    assert "Published" in shell.run("lab", "publish", str(bad)).stdout


def test_files_and_regions_that_are_none(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    error = shell.fails(InputError, "lab", "publish", str(tmp_path / "nosuch.csv"))
    assert "nosuch.csv: cannot be read" in str(error)
    assert "is a folder" in str(shell.fails(InputError, "lab", "publish", str(tmp_path)))
    files = str(write_files(tmp_path)[0])
    assert "region" in str(shell.fails(InputError, "lab", "publish", files, "--region", "ZZZ"))


def test_files_without_rows_are_told(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    (tmp_path / "h.csv").write_text("address,campaign\n")
    error = shell.fails(InputError, "lab", "publish", str(tmp_path / "h.csv"))
    assert str(error) == "h.csv: no rows"


def test_a_dry_run_of_a_report_asks_for_the_role(shell: Shell, tmp_path: Path) -> None:
    shell.create()
    words = " ".join(shell.join(role="read")["words"])
    shell.run("lab", "channel", "approve", "circle", "--words", words)
    shell.run("provider", "pull")
    rows = shell.json("lab", "publish", str(write_files(tmp_path)[1]))["rows"]
    shell.run("provider", "pull")
    target = next(row["indicators"][0] for row in rows if row["where"] == "proxies.csv:3")
    error = shell.fails(AccessError, "provider", "report", target, "--dry-run")
    assert "may not report" in str(error)


def test_publishing_again_counts_no_rows(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    shell.run("lab", "publish", *[str(path) for path in write_files(tmp_path)])
    shown = shell.run("lab", "publish", "--again").stdout
    assert "Rows:" not in shown
    assert "Published" in shown


def test_what_nobody_else_can_read_is_told(shell: Shell, tmp_path: Path) -> None:
    shell.create()
    files = [str(path) for path in write_files(tmp_path)]
    alone = "nobody but you can read it yet; once others have joined: stillwatch publish --again"
    assert alone in shell.run("lab", "publish", *files[:2]).stderr
    assert alone not in shell.run("lab", "publish", *files[:2]).stderr
    words = " ".join(shell.join()["words"])
    shell.run("lab", "channel", "approve", "circle", "--words", words)
    assert "nobody but you" not in shell.run("lab", "publish", files[2]).stderr


def test_a_plain_collection_is_no_channel(shell: Shell) -> None:
    shell.init("lab")
    shell.hub.add_channel_collection(C2, inbox=False)
    error = shell.fails(ConflictError, "lab", *_create(shell, "plain", C2))
    assert "a plain collection" in str(error)
    assert "hub collection add" in str(error.hint)
    assert shell.json("lab", "status")["channels"] == []
    error = shell.fails(InputError, "lab", *_create(shell, "plain", "No such title"))
    assert C1 in str(error.hint)
    assert C2 not in str(error.hint)
    assert "inbox" not in str(error.hint)


def test_a_name_in_use_and_a_channel_forgotten(shell: Shell) -> None:
    shell.create()
    shell.hub.add_channel_collection(C2)
    error = shell.fails(ConflictError, "lab", *_create(shell, "circle", C2))
    assert "choose another NAME" in str(error.hint)
    shell.fails(AccessError, "lab", "channel", "forget", "circle")
    shell.run("lab", "channel", "forget", "circle", "--yes")
    assert shell.json("lab", "status")["channels"] == []
    shell.run("lab", *_create(shell, "circle", C2))
    assert [each["name"] for each in shell.json("lab", "status")["channels"]] == ["circle"]


def test_a_short_passphrase_is_refused(shell: Shell) -> None:
    secret = shell.folder / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text("hunter\n")
    words = ("init", "--organisation", "Lab", "--passphrase-file", str(secret))
    assert "fewer than 12" in str(shell.fails(InputError, "lab", *words))
    assert not (shell.folder / "lab").exists()


def test_init_says_what_comes_next(shell: Shell) -> None:
    shown = shell.run("lab", "init", "--organisation", "Lab", "--key-file").stdout
    assert "Back up" in shown
    assert "Next: stillwatch join" in shown
    given = shell.folder / "passphrase"
    given.write_text("correct horse battery staple")
    error = shell.fails(AccessError, "lab", "status", "--passphrase-file", str(given))
    assert "STILLWATCH_PASSPHRASE_FILE" in str(error.hint)


def test_a_second_name_is_not_ignored_in_silence(shell: Shell) -> None:
    shell.create()
    shell.join()
    given = ("--invitation-file", shell.path("invitation"), "--name", "other")
    done = shell.run("provider", "join", *given, "--token-file", shell.path("provider.token"))
    assert "is called circle here already" in done.stderr


def test_retract_wants_an_id(shell: Shell) -> None:
    shell.admit()
    error = shell.fails(InputError, "lab", "retract", "203.0.113.77")
    assert "not the whole id" in str(error)
    assert "indicators --find" in str(error.hint)


def test_campaigns_are_found_in_any_case(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    shell.run("lab", "publish", *[str(path) for path in write_files(tmp_path)])
    assert "LANTERN" in shell.run("lab", "campaign", "show", "lantern").stdout
    error = shell.fails(InputError, "lab", "campaign", "show", "LANTERNE")
    assert error.hint == "did you mean LANTERN?"
    rows = tmp_path / "undated.csv"
    rows.write_text("address,campaign\n203.0.113.99,UNDATED\n")
    shell.run("lab", "publish", str(rows))
    assert "dates not told" in shell.run("lab", "campaign", "list").stdout


def test_no_range_tells_the_count() -> None:
    for count in range(1, 1200):
        found = count_range(count)
        assert found is not None
        assert found.low <= count <= found.high
        assert found.low < found.high


def test_an_address_without_its_api_root(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as caught:
        checked_url("127.0.0.1:8431")
    assert "https://" in str(caught.value.hint)
    asked: list[str] = []

    def refuse(url: str, conn: object) -> None:
        asked.append(url)
        raise TransportError("enough")

    monkeypatch.setattr("hub.client.transport.Server", refuse)
    with pytest.raises(TransportError):
        discover(HubAccount("http://127.0.0.1:8431", None, "token"), ClientSettings())
    assert asked == ["http://127.0.0.1:8431/taxii2/"]


def test_one_is_not_written_as_many(capsys: pytest.CaptureFixture[str]) -> None:
    announce(Pulled("circle", reports=1))
    assert "1 report about" in capsys.readouterr().err


def test_a_liaison_is_told_why_it_holds_no_indicators(shell: Shell) -> None:
    shell.create()
    shell.init("provider")
    path = shell.invite("liaison")
    given = ("--invitation-file", path, "--token-file", shell.path("provider.token"))
    shell.run("provider", "join", *given, "--name", "circle")
    assert "No indicators yet" in shell.run("provider", "indicators").stdout
    shell.run("lab", "channel", "approve", "circle", "--yes-words-match")
    shell.run("provider", "pull")
    assert "campaign list" in shell.run("provider", "indicators").stdout


def test_many_sightings_are_summed_up(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    rows = tmp_path / "rows.csv"
    rows.write_text("address\n" + "".join(f"203.0.113.{n}\n" for n in range(10, 22)))
    sent = shell.json("lab", "publish", str(rows))["rows"]
    shell.run("provider", "pull")
    for row in sent:
        shell.run("provider", "report", row["indicators"][0])
    target = sent[0]["indicators"][0]
    shell.run("provider", "report", target, "--false-positive", "--reason", "an office")
    shell.run("lab", "pull")
    lines = shell.run("lab", "status").stdout.splitlines()
    seen = [line for line in lines if line.startswith("  seen 1 time by Provider")]
    assert len(seen) == 8
    assert "(network.ipv4)" in seen[0]
    assert "4 more sightings" in lines[-1]
    disputed = next(n for n, line in enumerate(lines) if "strongly-disagree" in line)
    assert disputed < lines.index(seen[0])


def _completed(shell: Shell, *words: str) -> list[str]:
    *before, incomplete = words
    home = ["--home", str(shell.folder / "lab")]
    found = ShellComplete(cli, {}, "stillwatch", "_STILLWATCH_COMPLETE")
    # The home stands first where it can: completion knows only what is typed already.
    return [each.value for each in found.get_completions([*before, *home], incomplete)]


def test_names_are_completed_without_keys(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    shell.run("lab", "publish", *[str(path) for path in write_files(tmp_path)])
    assert _completed(shell, "channel", "members", "ci") == ["circle"]
    assert _completed(shell, "pull", "") == ["circle"]
    assert _completed(shell, "campaign", "show", "lan") == ["LANTERN"]
    assert _completed(shell, "campaign", "show", "x") == []
    (shell.folder / "lab" / "keyring.json").unlink()
    assert _completed(shell, "pull", "") == []


def test_times_in_documents_are_iso(shell: Shell, tmp_path: Path) -> None:
    shell.admit()
    shell.run("lab", "publish", *[str(path) for path in write_files(tmp_path)])
    status = shell.json("lab", "status")
    (view,) = shell.json("lab", "campaign", "list")["campaigns"]
    members = shell.json("lab", "channel", "members", "circle")["members"]
    for text in (
        status["card_expires"],
        status["channels"][0]["pulled_at"],
        status["channels"][0]["manifest_expires"],
        view["provenance"][0]["sent_at"],
        members[0]["card_expires"],
    ):
        assert datetime.fromisoformat(text).utcoffset() == timedelta(0)
