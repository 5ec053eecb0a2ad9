"""Several owners decide over a channel, by command line against a hub process."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from hub.cli.exits import exit_code
from hub.cli.main import cli
from hub.errors import StillwatchError
from tests.e2e.members import Work, end, free_port, serve

OWNERS = ("lab", "second", "third")


class Near(Work):
    """Members' commands inside this process, for there are many; the hub has its own."""

    def run(self, home: str, *words: str, code: int | None = 0) -> str:
        """Run a command to its end; its exit code must be `code`, None for any."""
        if home == "none":
            return super().run(home, *words, code=code)
        with contextlib.chdir(self.folder):
            done = CliRunner(env=self.environment(home)).invoke(cli, list(words))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            assert isinstance(done.exception, StillwatchError), done.exception
        failed = done.exception if isinstance(done.exception, StillwatchError) else None
        status = done.exit_code if failed is None else exit_code(failed)
        said = done.output if failed is None else f"{done.output}{failed}"
        assert code is None or status == code, said
        return done.stdout if code in (0, None) or "--json" in words else said


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    """A channel of three owners, two of whom must sign; the second keeps its root elsewhere."""
    made = Near(tmp_path_factory.mktemp("owners"), free_port())
    made.run("none", "hub", "init", "--data", "hub")
    for name in (*OWNERS, "joiner"):
        made.token(name)
        made.run(name, "init", "--organisation", name.title(), "--key-file")
    for title in ("Circle", "Square"):
        owner = "lab" if title == "Circle" else "joiner"
        made.run("none", "hub", "collection", "add", title, "--owner", owner, "--data", "hub")
    process = serve(made)
    try:
        hub = ("--hub", made.api_root, "--token-file", "lab.token", "--collection", "Circle")
        made.run("lab", "channel", "create", "circle", *hub, "--staleness-days", "2")
        for name in ("second", "third"):
            words = _joins(made, "lab", name, "publish")
            made.run("lab", "channel", "approve", "circle", "--words", words)
            made.run(name, "pull")
            made.run("lab", "channel", "owner", "add", "circle", name.title(), "--words", words)
        made.run("second", "pull")
        raised = made.json("lab", "channel", "threshold", "circle", "2", "--yes")
        assert (raised["in_force"], raised["missing"]) == (False, 1)
        made.run("second", "pull")
        done = made.json("second", "channel", "sign", "circle", raised["proposal"][:12], "--yes")
        assert done["in_force"]
        made.run("lab", "pull")
        (made.folder / "root.pass").touch(mode=0o600)
        (made.folder / "root.pass").write_text("seven words that nobody else would think of")
        detach = ("root", "detach", "--out", "second.root")
        made.run("second", *detach, "--root-passphrase-file", "root.pass")
        yield made
    finally:
        end(process)


def _joins(work: Work, sponsor: str, name: str, role: str) -> str:
    """Invite and join; the words that the joiner reads out."""
    given = ("--organisation", name.title(), "--role", role, "--out", f"{name}.invitation")
    work.run(sponsor, "channel", "invite", "circle", *given)
    token = ("--invitation-file", f"{name}.invitation", "--token-file", f"{name}.token")
    return " ".join(work.json(name, "join", *token, "--name", "circle")["words"])


def test_a_joiner_is_compared_by_two_owners(work: Work) -> None:
    words = _joins(work, "lab", "joiner", "read")
    proposed = work.json("lab", "channel", "approve", "circle", "--words", words)
    assert (proposed["in_force"], proposed["sent"], proposed["missing"]) == (False, True, 1)
    short = proposed["proposal"][:16]
    work.run("third", "pull")
    status = work.json("third", "status", code=None)
    assert any("channel sign circle" in note for note in status["channels"][0]["notes"])
    shown = work.run("third", "channel", "sign", "circle", short, "--dry-run")
    assert "Joiner" in shown
    assert "becomes a member: read" in shown
    unheard = work.run("third", "channel", "sign", "circle", short, code=4)
    assert "words are not confirmed" in unheard
    wrong = " ".join(["abandon"] * 16)
    said = work.run("third", "channel", "sign", "circle", short, "--words", wrong, code=3)
    assert "Joiner: the words do not match" in said
    assert work.run("joiner", "pull", code=4).count("has not approved") >= 1
    signed = work.json("third", "channel", "sign", "circle", short, "--words", words)
    assert signed["in_force"]
    work.run("joiner", "pull")
    members = work.json("joiner", "channel", "members", "circle")
    assert (members["threshold"], members["owners"], len(members["members"])) == (2, 3, 4)
    work.run("lab", "pull")
    assert work.json("lab", "channel", "proposals", "circle")["proposals"] == []


def test_a_root_signs_on_another_machine(work: Work) -> None:
    shown = work.run("lab", "channel", "policy", "circle", "--history", "all", "--dry-run")
    assert "what joiners can open of the past" in shown
    proposed = work.json("lab", "channel", "policy", "circle", "--history", "all", "--yes")
    short = proposed["proposal"][:16]
    work.run("lab", "channel", "proposals", "circle", short, "--out", "change.proposal")
    work.run("second", "pull")
    refused = work.run("second", "channel", "sign", "circle", short, "--yes", code=4)
    assert "root key is not in this home" in refused
    # There is no home there, only the file and its passphrase.
    offline = ("channel", "sign", "change.proposal", "--root-file", "second.root", "--yes")
    secret = ("--root-passphrase-file", "root.pass", "--out", "signed.proposal")
    work.run("nowhere", *offline, *secret)
    assert not (work.folder / "nowhere").exists()
    done = work.json("second", "channel", "sign", "circle", "signed.proposal", "--yes")
    assert done["in_force"]
    work.run("lab", "pull")
    assert work.json("lab", "channel", "policy", "circle")["policy"]["history"] == "all"


def test_a_stale_proposal_says_so_and_is_made_anew(work: Work) -> None:
    first = work.json("lab", "channel", "policy", "circle", "--compression", "zlib", "--yes")
    other = work.json("third", "channel", "policy", "circle", "--approvals", "2", "--yes")
    work.run("lab", "pull")
    despite = ("--despite-other", "--yes")
    said = work.run("lab", "channel", "sign", "circle", other["proposal"][:16], "--yes", code=5)
    assert "signed another draft" in said
    work.run("lab", "channel", "sign", "circle", other["proposal"][:16], *despite)
    stale = work.run("lab", "channel", "sign", "circle", first["proposal"][:16], "--yes", code=3)
    assert "the proposal is stale" in stale
    again = work.json("lab", "channel", "propose", "circle", first["proposal"][:16])
    assert again["sent"]
    work.run("third", "pull")
    work.run("third", "channel", "sign", "circle", again["proposal"][:16], "--yes")
    policy = work.json("third", "channel", "policy", "circle")["policy"]
    assert (policy["compression"], policy["approvals"]) == ("zlib", 2)


def test_a_lost_root_is_replaced_and_a_member_leaves(work: Work) -> None:
    members = work.json("lab", "channel", "members", "circle")["members"]
    lost = next(each["member"] for each in members if each["name"] == "Third")
    work.run("lab", "pull")
    work.run("lab", "channel", "re-enrol", "circle", "Third", "--out", "again.invitation")
    shutil.move(work.folder / "third", work.folder / "third-lost")
    work.run("third", "init", "--organisation", "Third", "--key-file", "--member", lost)
    token = ("--invitation-file", "again.invitation", "--token-file", "third.token")
    words = " ".join(work.json("third", "join", *token, "--name", "circle")["words"])
    proposed = work.json("lab", "channel", "approve", "circle", "--words", words)
    assert {"root", "owner-added", "owner-removed"} <= {
        each["kind"] for each in proposed["changes"]
    }
    work.run("second", "root", "attach", "second.root", "--root-passphrase-file", "root.pass")
    work.run("second", "pull")
    short = proposed["proposal"][:16]
    assert work.json("second", "channel", "sign", "circle", short, "--words", words)["in_force"]
    (pulled,) = work.json("third", "pull")["channels"]
    assert (pulled["standing"], pulled["problem"], pulled["alarms"]) == ("owner", None, [])

    left = work.json("joiner", "channel", "leave", "circle", "--yes")
    assert not left["owners_told"]
    assert "no role to write" in left["problem"]


def test_a_channel_is_succeeded(work: Work) -> None:
    given = ("--collection", "Square", "--out", "invitations")
    done = work.json("joiner", "channel", "succeed", "circle", "square", *given)
    assert len(done["invitations"]) == 3
    path = done["invitations"][work.json("lab", "status", code=None)["member"]]
    assert (work.folder / path).stat().st_mode & 0o777 == 0o600
    token = ("--invitation-file", path, "--token-file", "lab.token")
    joined = work.json("lab", "join", *token, "--name", "square")
    words = " ".join(joined["words"])
    assert work.json("joiner", "channel", "approve", "square", "--words", words)["in_force"]
    work.run("lab", "pull")
    link = work.json("lab", "channel", "members", "square")["succeeds"]
    assert (link["name"], link["known_owners"]) == ("circle", 1)


def test_a_file_that_is_no_proposal_is_named(work: Work) -> None:
    said = work.run("lab", "channel", "sign", "circle", "second.root", code=2)
    assert "second.root: a root file, and no proposal" in said
    (work.folder / "other.file").write_text("{}")
    said = work.run("lab", "channel", "sign", "circle", "other.file", code=2)
    assert "other.file: not a proposal" in said
    assert "staleness: 2 days\n" in work.run("lab", "channel", "policy", "circle")
