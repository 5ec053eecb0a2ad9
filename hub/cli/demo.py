"""`stillwatch demo`: the whole job on this machine, on the sample data, with real processes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Final

import click

from hub import resources
from hub.cli.demo_checks import check_matches
from hub.cli.demo_stage import DemoError, Stage, free_port
from hub.errors import InputError

_MARK: Final = ".stillwatch-demo"
_LAB_FILES: Final = ("accounts.csv", "proxies.csv", "prompts.jsonl")
_LOGS: Final = ("gateway-litellm.jsonl", "gateway-otel.jsonl", "edge-nginx.log")
_PARTIES: Final = {
    "lab": "Example Frontier Lab",
    "provider": "Example Provider",
    "liaison": "Example Liaison",
}
_CHANNEL: Final = "circle-a"
_USUAL_PORT: Final = 8427
_STEPS: Final = 11


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("stillwatch-demo"),
    show_default=True,
    help="Folder to leave everything in; one that an earlier demo left is replaced.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the hub; 8427 if free.")
def command(folder: Path, port: int | None) -> None:
    """Run the whole job on this machine with the sample data.

    A hub, a lab, a provider and a liaison, each with keys of its own, as real processes over real
    HTTP on the loopback address. It ends with the commands to do the same by hand.
    """
    _prepare(folder)
    with Stage(folder, steps=_STEPS) as stage:
        Demo(stage, port or free_port(_USUAL_PORT)).play()


def _prepare(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise InputError(
                "is not empty, and no earlier demo made it", where=str(folder), hint="--dir DIR"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text("A folder that stillwatch demo may replace.\n")
    for name in ("lab", "provider"):
        shutil.copytree(resources.samples() / name, folder / "samples" / name)


class Demo:
    """The play, scene by scene; each method is one step."""

    def __init__(self, stage: Stage, port: int) -> None:
        self.stage = stage
        self.port = port
        self.url = f"http://127.0.0.1:{port}/stillwatch/"
        self.truth = json.loads((resources.samples() / "truth.json").read_bytes())
        self.rows: dict[str, list[str]] = {}

    def play(self) -> None:
        """Run every step.

        Raises:
            StillwatchError: a step failed; the folder is kept.
        """
        self.start_hub()
        self.make_keys()
        self.open_channel()
        self.join()
        self.publish()
        self.pull()
        self.match()
        self.report()
        self.retract()
        self.watch()
        self.search()
        self.close()

    def start_hub(self) -> None:
        """The operator sets up a hub, with an account for each party."""
        stage = self.stage
        with stage.step(
            "1. A hub starts",
            "SQLite in one folder, on the loopback address. There is no default account: the "
            "operator adds each organisation, issues it a token, and opens one empty collection.",
        ):
            stage.run("hub", "init", "--data", "hub", shown=1)
            for party, name in _PARTIES.items():
                stage.run("hub", "org", "add", name, "--data", "hub", shown=1)
                token = f"{party}.token"
                stage.run("hub", "token", "issue", name, "--data", "hub", "--out", token, shown=1)
            stage.run(
                *("hub", "collection", "add", "Circle A"),
                *("--owner", _PARTIES["lab"], "--data", "hub"),
            )
            stage.serve(
                *("hub", "serve", "--data", "hub", "--port", str(self.port)),
                name="HUB",
                log="hub.log",
                ready=f"http://127.0.0.1:{self.port}/readyz",
            )

    def make_keys(self) -> None:
        """Each party makes its keys, on its own machine."""
        with self.stage.step(
            "2. Everybody makes keys",
            "Each party's keys are made on its own machine and rest encrypted there. The words are "
            "the key's fingerprint: people compare them on the telephone.",
        ):
            for party, name in _PARTIES.items():
                self.stage.run("init", "--home", party, "--organisation", name, "--key-file")

    def open_channel(self) -> None:
        """The lab opens the channel and writes two invitations."""
        with self.stage.step(
            "3. The lab opens a channel and invites two",
            "The list of members is signed by the lab, not kept by the hub: the hub's operator "
            "cannot add one. An invitation holds a secret, serves once, and goes by another way.",
        ):
            self.stage.run(
                *("channel", "create", _CHANNEL, "--home", "lab", "--hub", self.url),
                *("--collection", "Circle A", "--token-file", "lab.token"),
            )
            for party, role in (("provider", "report"), ("liaison", "liaison")):
                self.stage.run(
                    *("channel", "invite", _CHANNEL, "--home", "lab", "--role", role),
                    *("--organisation", _PARTIES[party], "--out", f"{party}.invitation"),
                )

    def join(self) -> None:
        """Both accept; the lab compares words and admits them."""
        with self.stage.step(
            "4. They join; the words agree on both sides",
            "Compare the words of each request with those of step 2: a hub that slips in a key of "
            "its own would show other words.",
        ):
            for party in ("provider", "liaison"):
                self.stage.run(
                    *("join", "--home", party, "--name", _CHANNEL, "--token-file"),
                    *(f"{party}.token", "--invitation-file", f"{party}.invitation"),
                )
                self.stage.run(
                    *("channel", "approve", _CHANNEL, "--home", "lab"),
                    *("--organisation", _PARTIES[party], "--yes-words-match"),
                )
            self.stage.run("channel", "members", _CHANNEL, "--home", "lab")

    def publish(self) -> None:
        """The lab tries its files dry, then publishes them."""
        files = [f"samples/lab/{name}" for name in _LAB_FILES]
        with self.stage.step(
            "5. The lab publishes its detections",
            "Accounts, proxies and prompts as its warehouse exports them. E-mails, phones, cards, "
            "devices and keys become keyed tokens; the dry run tells each row's fate first.",
        ):
            verdicts = self.stage.ask("publish", "--home", "lab", "--dry-run", *files)
            for row in verdicts["rows"]:
                for indicator in row["indicators"]:
                    self.rows.setdefault(indicator, []).append(row["where"])
            self.stage.run("publish", "--home", "lab", "--dry-run", *files)
            self.stage.run("publish", "--home", "lab", *files, shown=12)

    def pull(self) -> None:
        """The provider fetches, verifies and opens."""
        with self.stage.step(
            "6. The provider pulls",
            "Signatures, gaps in a sender's numbering and the list of members are checked before "
            "anything is opened.",
        ):
            self.stage.run("pull", "--home", "provider")

    def match(self) -> None:
        """Last days' gateway logs against the indicators, checked against the truth."""
        with self.stage.step(
            "7. The provider matches its gateway logs",
            "Three logs in three formats, with the customer table joined in memory: its e-mails "
            "and cards are tokenised here and go nowhere.",
        ):
            self.stage.run(
                *("match", "--home", "provider", "--out", "matches.parquet", "--accounts"),
                "samples/provider/customers.csv",
                *(f"samples/provider/{name}" for name in _LOGS),
                shown=80,
            )
            found = check_matches(self.stage.folder / "matches.parquet", self.rows, self.truth)
            self.stage.say(
                f"Planted truth: {found.planted:,} exchanges in {len(_LOGS)} logs and "
                f"{found.near_misses} near misses. Missed: {found.missed}; "
                f"matched in excess: {found.excess}."
            )
            if found.missed or found.excess:
                raise DemoError("the matches are not the planted truth", where="matches.parquet")

    def report(self) -> None:
        """Sightings go back, and one false positive."""
        mistaken = self._mistaken_address()
        with self.stage.step(
            "8. The provider reports back",
            "Counts and times leave the machine, sealed for the channel; customers do not. One "
            "indicator is wrong: its address is an office of honest customers.",
        ):
            self.stage.run("report", "--home", "provider", "--matches", "matches.parquet", shown=6)
            self.stage.run("indicators", "--home", "provider", "--find", mistaken)
            self.stage.let(
                *("MISTAKE", "indicators", "--home", "provider", "--find", mistaken, "--ids")
            )
            self.stage.run(
                *("report", "$MISTAKE", "--home", "provider", "--false-positive"),
                *("--reason", "the egress of an office of long-standing customers"),
            )

    def retract(self) -> None:
        """The lab withdraws the mistake; the next pull drops it."""
        with self.stage.step(
            "9. The lab retracts its mistake",
            "A signed revocation; the provider drops the indicator at its pull, with a receipt.",
        ):
            self.stage.run("pull", "--home", "lab")
            self.stage.run(
                *("retract", "$MISTAKE", "--home", "lab", "--reason", "an office, not a proxy")
            )
            self.stage.run("pull", "--home", "provider")
            self.stage.run(
                *("match", "--home", "provider", "--out", "matches-after.parquet", "--accounts"),
                "samples/provider/customers.csv",
                *(f"samples/provider/{name}" for name in _LOGS),
                shown=0,
            )
            after = self.stage.folder / "matches-after.parquet"
            kept = {i: rows for i, rows in self.rows.items() if self.truth["mistake"] not in rows}
            found = check_matches(after, kept, self.truth)
            self.stage.say(
                f"Matched by the retracted indicator now: {found.unknown} exchanges; "
                f"missed: {found.missed}; in excess: {found.excess}."
            )
            if found.unknown or found.missed or found.excess:
                raise DemoError("the retracted indicator still matches", where=str(after))
            self.stage.run("pull", "--home", "lab", shown=0)
            self.stage.run("retract", "--status", "--home", "lab")

    def watch(self) -> None:
        """The liaison sees aggregates, and nothing else."""
        with self.stage.step(
            "10. The liaison watches",
            "Government readers get aggregates: its keys open no message of detail.",
        ):
            self.stage.run("pull", "--home", "liaison")
            self.stage.run("campaign", "list", "--home", "liaison")
            name = next(row["campaign"] for row in self.truth["rows"])
            self.stage.run("campaign", "show", name, "--home", "liaison")

    def search(self) -> None:
        """Nothing that was published can be found at the hub."""
        with self.stage.step(
            "11. What the hub knows",
            "A search for every value that was published, in the hub's files, log and memory, "
            "also under base64, zlib, gzip and zstd. And an audit: all that the hub showed to the "
            "provider stands in the log that it signed.",
        ):
            self.stage.run(
                *("hub", "search", *(f"samples/lab/{name}" for name in _LAB_FILES)),
                *("--data", "hub", "--log", "hub.log", "--process", "$HUB"),
            )
            self.stage.run("channel", "audit", _CHANNEL, "--home", "provider")

    def close(self) -> None:
        """Leave the script and say where everything is."""
        folder = self.stage.folder
        head = ["# The demo by hand: run these in an empty folder that holds samples/.", "set -e"]
        script = [*self.stage.script, "", "# The end", 'kill "$HUB"']
        (folder / "by-hand.sh").write_text("\n".join([*head, *script, ""]))
        self.stage.say(
            f"\nDone. Everything is in {folder}: the hub's data (hub), the three homes (lab, "
            "provider, liaison), matches.parquet and hub.log. The hub has been stopped. To do the "
            "same by hand, in a new folder:\n"
        )
        if shutil.which("stillwatch") is None:
            self.stage.say(f"  export PATH={Path(sys.executable).parent}:$PATH")
        self.stage.say(f"  mkdir by-hand && cp -r {folder}/samples by-hand && cd by-hand")
        for line in script:
            self.stage.console.print(f"  {line}" if line else "", markup=False, soft_wrap=True)
        self.stage.say(f"\nThe same commands are in {folder / 'by-hand.sh'}.")

    def _mistaken_address(self) -> str:
        name, _, line = self.truth["mistake"].partition(":")
        lines = (resources.samples() / "lab" / name).read_text().splitlines()
        address: str = lines[int(line) - 1].partition(",")[0]
        return address
