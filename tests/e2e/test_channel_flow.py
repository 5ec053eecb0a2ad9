"""The members' commands against a hub process over HTTP, as the README gives them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from hub.cli.exits import ALARM, ATTENTION, EXPIRED
from tests.e2e.members import Work, end, free_port, serve

ACCOUNTS = """email,phone,api_key,campaign,first_seen,last_seen,confidence
ann@mailbox-farm.example,+1 212 555 0101,,LANTERN,2026-11-01T00:00:00Z,2026-11-05T00:00:00Z,80
bob@mailbox-farm.example,,sk-fic-7Qaaaaaaaaaaaaaaaaaaaa,LANTERN,2026-11-01T00:00:00Z,,70
not-an-address,,,LANTERN,2026-11-01T00:00:00Z,,50
"""
PROXIES = """address,campaign,first_seen,valid_until,confidence
203.0.113.64/27,LANTERN,2026-11-01T00:00:00Z,2027-01-20T00:00:00Z,85
198.51.100.2,LANTERN,2026-11-02T00:00:00Z,2027-01-21T00:00:00Z,75
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    """A channel of a lab, a provider and a liaison on a hub process."""
    made = Work(tmp_path_factory.mktemp("flow"), free_port())
    (made.folder / "accounts.csv").write_text(ACCOUNTS)
    (made.folder / "proxies.csv").write_text(PROXIES)
    made.run("none", "hub", "init", "--data", "hub")
    for name in ("lab", "provider", "liaison"):
        made.token(name)
        made.run(name, "init", "--organisation", name.title(), "--key-file")
    collection = made.json(
        "none", "hub", "collection", "add", "Circle", "--owner", "lab", "--data", "hub"
    )["id"]
    process = serve(made)
    try:
        hub = ("--hub", made.api_root, "--token-file", "lab.token")
        made.run("lab", "channel", "create", "circle", *hub, "--collection", collection)
        for name, role in (("provider", "report"), ("liaison", "liaison")):
            _admit(made, name, role)
        yield made
    finally:
        end(process)


def _admit(work: Work, name: str, role: str) -> None:
    words = ("--organisation", name.title(), "--role", role, "--out", f"{name}.invitation")
    work.run("lab", "channel", "invite", "circle", *words)
    given = ("--invitation-file", f"{name}.invitation", "--token-file", f"{name}.token")
    joined = work.json(name, "join", *given, "--name", "circle")
    wrong = " ".join(["abandon"] * 16)
    refused = work.run("lab", "channel", "approve", "circle", "--words", wrong, code=3)
    assert "do not match" in refused
    approved = work.json(
        "lab", "channel", "approve", "circle", "--words", " ".join(joined["words"])
    )
    assert approved["words"] == joined["words"]
    work.run(name, "pull")


def test_publish_pull_report_retract(work: Work) -> None:
    files = ("accounts.csv", "proxies.csv")
    dry = work.json("lab", "publish", *files, "--dry-run")
    assert dry["counts"] == {
        "accepted": 2,
        "tokenised": 2,
        "warned": 0,
        "duplicate": 0,
        "refused": 1,
    }
    assert work.json("lab", "publish", *files)["messages"] == 2
    again = work.json("lab", "publish", *files)
    assert (again["messages"], again["counts"]["duplicate"]) == (0, 4)

    (pulled,) = work.json("provider", "pull")["channels"]
    assert pulled["objects"]["indicator"] == 6
    (seen,) = work.json("liaison", "pull")["channels"]
    assert "indicator" not in seen["objects"]
    assert seen["sealed"] >= 1
    (view,) = work.json("liaison", "campaign", "show", "LANTERN")["campaigns"]
    assert view["publisher_name"] == "Lab"
    assert view["scale"]["indicator_count"] == {
        "low": 5,
        "high": 10,
        "method": "live indicators",
    }

    published = {row["where"]: row["indicators"] for row in dry["rows"]}
    (target,) = published["proxies.csv:3"]
    shown = work.json("provider", "report", target, "--count", "7", "--dry-run")
    assert {each["type"] for each in shown["objects"]} == {"sighting", "identity"}
    work.run("provider", "report", target, "--count", "7")
    reason = ("--false-positive", "--reason", "an office of a customer")
    work.run("provider", "report", target, *reason)
    work.run("lab", "pull")
    status = work.json("lab", "status")
    (channel,) = status["channels"]
    assert {each["count"] for each in channel["reports"]["sightings"]} == {1, 7}
    assert channel["reports"]["opinions"][0]["by"] == "Provider"

    work.run("lab", "retract", target)
    (pulled,) = work.json("provider", "pull")["channels"]
    assert pulled["revoked"] == [target]


def test_the_log_of_the_hub_is_pinned_and_shown(work: Work) -> None:
    work.run("lab", "pull")
    work.run("provider", "pull")
    seen = work.json("provider", "channel", "log", "circle")
    assert seen["origin"].startswith(f"127.0.0.1:{work.port}/")
    assert seen["verifier_key"].startswith(seen["origin"] + "+")
    assert seen["size"] >= 8
    assert (seen["missing"], seen["quorum"]) == (0, 0)
    shown = work.run("provider", "channel", "log", "circle")
    assert f"{seen['size']} entries" in shown
    assert seen["root"] in shown
    refused = work.run("lab", "channel", "log", "circle", "--accept", code=5)
    assert "names this log already" in refused
    assert "add --accept" in work.run("lab", "channel", "log", "circle", "--quorum", "1", code=2)


def test_members_and_an_invitation_that_was_used(work: Work) -> None:
    members = work.json("provider", "channel", "members", "circle")["members"]
    assert sorted(each["roles"] for each in members) == [
        ["liaison"],
        ["publish", "read"],
        ["read", "report"],
    ]
    work.token("stranger")
    work.run("stranger", "init", "--organisation", "Stranger", "--key-file")
    given = ("--invitation-file", "provider.invitation", "--token-file", "stranger.token")
    work.run("stranger", "join", *given, "--name", "circle")
    refused = work.run("lab", "channel", "approve", "circle", "--yes-words-match", code=5)
    assert "used before" in refused
    not_yet = work.run("stranger", "pull", code=4)
    assert "has not approved" in not_yet


def test_renewal_and_a_rotated_epoch(work: Work) -> None:
    done = work.json("lab", "channel", "renew", "circle")["renewed"]["circle"]
    assert any(each.startswith("issued epoch") for each in done)
    assert work.run("lab", "channel", "renew", "--if-needed", "--quiet") == ""
    work.run("provider", "channel", "renew", "circle", "--new-card")
    work.run("lab", "pull")
    taken = work.json("lab", "channel", "renew", "circle", "--if-needed")["renewed"]["circle"]
    assert any(each.startswith("took up card 2") for each in taken)
    (pulled,) = work.json("provider", "pull")["channels"]
    assert not pulled["alarms"]
    assert work.json("provider", "status")["level"] == "ok"


def test_following_ends_when_told(work: Work) -> None:
    process = work.start("provider", "pull", "--follow", "--interval", "1", "--json")
    try:
        (work.folder / "late.csv").write_text("address,campaign\n198.51.100.77,LANTERN\n")
        work.run("lab", "publish", "late.csv")
        lines = iter(process.stdout or ())
        assert any('"indicator": 1' in line for line in lines)
        process.send_signal(signal.SIGTERM)
        rest = "".join(lines)
        assert process.wait(30) == 0
        assert "Traceback" not in rest
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_two_publishers_at_once_do_not_fork(work: Work) -> None:
    for number in (1, 2):
        rows = "".join(f"198.51.100.{number}{each},LANTERN\n" for each in range(10, 40))
        (work.folder / f"part{number}.csv").write_text(f"address,campaign\n{rows}")
    processes = [work.start("lab", "publish", f"part{number}.csv") for number in (1, 2)]
    codes = []
    for process in processes:
        assert process.stdout is not None
        said = process.stdout.read()
        codes.append(process.wait(60))
        process.stdout.close()
        assert codes[-1] == 0 or "another stillwatch process" in said
    assert 0 in codes
    for number in (1, 2):
        work.run("lab", "publish", f"part{number}.csv")
    (pulled,) = work.json("provider", "pull")["channels"]
    assert (pulled["alarms"], pulled["waiting"]) == ([], 0)
    assert work.json("provider", "status")["channels"][0]["objects"]["indicator"] >= 60


def test_a_wrong_token_is_told_without_showing_it(work: Work) -> None:
    (work.folder / "wrong.token").write_text("wr0ng-t0ken")
    (work.folder / "wrong.token").chmod(0o600)
    work.run(
        "lab",
        "channel",
        "invite",
        "circle",
        "--organisation",
        "Nobody",
        "--role",
        "read",
        "--out",
        "nobody.invitation",
    )
    work.run("nobody", "init", "--organisation", "Nobody", "--key-file")
    given = ("--invitation-file", "nobody.invitation", "--token-file", "wrong.token")
    said = work.run("nobody", "join", *given, code=4)
    assert "401" in said
    assert "wr0ng-t0ken" not in said


def test_a_token_is_rotated(work: Work) -> None:
    words = ("hub", "token", "issue", "provider", "--data", "hub")
    issued = work.json("none", *words)
    (work.folder / "next.token").write_text(issued["token"])
    (work.folder / "next.token").chmod(0o600)
    work.run("provider", "channel", "account", "circle", "--token-file", "wrong.token", code=4)
    work.run("provider", "pull")
    work.run("provider", "channel", "account", "circle", "--token-file", "next.token")
    tokens = work.json("none", "hub", "token", "list", "provider", "--data", "hub")
    first = next(each["id"] for each in tokens if each["id"] != issued["id"])
    work.run("none", "hub", "token", "revoke", first, "--data", "hub")
    (pulled,) = work.json("provider", "pull")["channels"]
    assert pulled["problem"] is None


def test_nothing_secret_stands_in_the_logs(work: Work) -> None:
    log = (work.folder / "hub.log").read_text()
    tokens = [path.read_text() for path in work.folder.glob("*.token")]
    assert len(tokens) >= 3
    assert not [token for token in tokens if token in log]


def test_a_removed_member_is_told(work: Work) -> None:
    work.run("lab", "channel", "remove", "circle", "Provider", "--yes")
    said = work.run("provider", "pull", code=4)
    assert "no longer a member" in said
    assert work.json("provider", "status", code=EXPIRED)["level"] == "pull failed"
    # With a new invitation it comes back, on a new card and with another role.
    words = ("--organisation", "Provider", "--role", "read", "--out", "back.invitation")
    work.run("lab", "channel", "invite", "circle", *words)
    token = ("hub", "token", "issue", "provider", "--data", "hub", "--out", "back.token")
    work.run("none", *token)
    given = ("--invitation-file", "back.invitation", "--token-file", "back.token")
    work.run("provider", "join", *given)
    assert work.json("provider", "status", code=ATTENTION)["level"] == "waiting"
    work.run("lab", "channel", "approve", "circle", "--yes-words-match")
    work.run("provider", "pull")
    assert work.json("provider", "status")["channels"][0]["roles"] == ["read"]


def test_exit_codes_are_told_apart() -> None:
    assert len({0, 1, 2, 3, 4, 5, 6, 7, ATTENTION, ALARM}) == 10
