"""A hub that is restored from an older copy gets back from its members what it lacks."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.members import Work, end, free_port, serve

ATTENTION = 10


def test_a_restored_hub_gets_back_what_it_lost(tmp_path: Path) -> None:
    work = Work(tmp_path, free_port())
    work.run("none", "hub", "init", "--data", "hub")
    tokens = {name: work.token(name) for name in ("lab", "provider")}
    for name in tokens:
        work.run(name, "init", "--organisation", name.title(), "--key-file")
    made = ("hub", "collection", "add", "Circle", "--owner", "lab", "--data", "hub")
    work.run("none", *made)
    process = serve(work)
    try:
        words = ("--hub", work.api_root, "--collection", "Circle", "--token-file", tokens["lab"])
        work.run("lab", "channel", "create", "circle", *words)
        work.run("none", "hub", "backup", "--data", "hub", "copy.db")

        _admit(work, tokens["provider"])
        for name, number in (("lab", 7), ("provider", 8)):
            (tmp_path / f"{name}.csv").write_text(f"address,campaign\n198.51.100.{number},OWL\n")
            assert work.json(name, "publish", f"{name}.csv")["messages"] == 2
        work.run("lab", "pull")
    finally:
        end(process)
    (tmp_path / "hub").rename(tmp_path / "lost")
    work.run("none", "hub", "restore", "--data", "hub", "copy.db")
    process = serve(work)
    try:
        refused = work.run("provider", "channel", "repost", "circle", code=4)
        assert "does not show this channel" in refused
        alarm = work.run("lab", "pull", code=12)
        assert "channel repost circle" in alarm
        assert work.json("lab", "channel", "repost", "circle", "--dry-run", code=ATTENTION)[
            "lacking"
        ]
        for name in ("lab", "provider", "lab"):
            said = work.run(name, "channel", "repost", "circle")
            assert said.endswith("circle: the hub holds everything that this home sent\n")
        assert "posted" not in said
        work.run("lab", "channel", "log", "circle", "--accept")
        for name, number in (("lab", 17), ("provider", 18)):
            (tmp_path / f"{name}.csv").write_text(f"address,campaign\n198.51.100.{number},OWL\n")
            work.run(name, "pull")
            work.run(name, "publish", f"{name}.csv")
        for name in ("lab", "provider"):
            (pulled,) = work.json(name, "pull")["channels"]
            assert (pulled["alarms"], pulled["waiting"]) == ([], 0)
            counts = work.json(name, "status", code=None)["channels"][0]["objects"]
            assert counts["indicator"] == 4
    finally:
        end(process)


def _admit(work: Work, token: str) -> None:
    words = ("--organisation", "Provider", "--role", "publish", "--out", "invitation")
    work.run("lab", "channel", "invite", "circle", *words)
    given = ("--invitation-file", "invitation", "--token-file", token, "--name", "circle")
    joined = work.json("provider", "join", *given)
    work.json("lab", "channel", "approve", "circle", "--words", " ".join(joined["words"]))
    work.run("provider", "pull")
