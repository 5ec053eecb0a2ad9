"""`stillwatch channel reads` and the line in `status`, as their user types them."""

from __future__ import annotations

import pytest

from hub.client.reads_port import Line
from hub.errors import InputError, TransportError
from tests.unit.cli.shell import Shell
from tests.unit.client.circle import START
from tests.unit.client.memory_hub import API_ROOT, C1

PLAIN = "00000000-0000-4000-8000-0000000000aa"


def line(seq: int, collection: str = C1, event: str = "government.read", **detail: str) -> Line:
    return Line(seq, START, event, "agency", collection, detail, "ab" * 32)


def status(shell: Shell) -> str:
    return shell.run("lab", "status").stdout


@pytest.fixture
def shell(shell: Shell) -> Shell:
    shell.create()
    return shell


def test_new_reads_are_told_until_they_were_looked_at(shell: Shell) -> None:
    shell.hub.lines = [line(1, objects="2", ids="x"), line(2, event="token.issue")]
    shell.run("lab", "pull")
    assert f"{API_ROOT} tells of 1 read of what you published" in status(shell)
    assert shell.json("lab", "status")["reads"] == {API_ROOT: 1}
    said = shell.run("lab", "channel", "reads").stdout
    assert "circle: agency read, as a government,: objects 2; ids x" in said
    assert "channel reads" not in status(shell)
    assert "nothing new" in shell.run("lab", "channel", "reads").stdout
    (every,) = shell.json("lab", "channel", "reads", "--all")["hubs"]
    assert [row["seq"] for row in every["reads"]] == [1]
    assert every["reads"][0]["channel"] == "circle"
    # What is told later is new again, and only that.
    shell.hub.lines.append(line(5, PLAIN, "break-glass.read", reason="drill"))
    shell.run("lab", "pull")
    said = shell.run("lab", "channel", "reads").stdout
    assert f"{PLAIN}: agency read behind broken glass: reason drill" in said
    assert said.count("agency") == 1


def test_one_channel_leaves_what_is_new_elsewhere(shell: Shell) -> None:
    shell.hub.lines = [line(1), line(2, PLAIN), line(3, f"{C1}-inbox")]
    shell.run("lab", "pull")
    (found,) = shell.json("lab", "channel", "reads", "circle")["hubs"]
    assert [row["seq"] for row in found["reads"]] == [1, 3]
    assert "tells of 3 reads" in status(shell)
    shell.run("lab", "channel", "reads")
    assert "tells of" not in status(shell)
    # Where nothing else is new, a look at the one is a look at all.
    shell.hub.lines.append(line(4))
    shell.run("lab", "pull")
    assert "tells of 1 read" in status(shell)
    shell.run("lab", "channel", "reads", "circle")
    assert "tells of" not in status(shell)


def test_a_hub_that_tells_nothing_is_no_error(shell: Shell) -> None:
    shell.run("lab", "pull")
    assert "tells nothing of reads" in shell.run("lab", "channel", "reads").stdout
    (found,) = shell.json("lab", "channel", "reads")["hubs"]
    assert (found["told"], found["reads"], found["problem"]) == (False, [], None)
    assert shell.json("lab", "status")["reads"] == {}


def test_a_hub_that_is_away_is_told_and_changes_nothing(shell: Shell) -> None:
    shell.hub.lines = [line(1)]
    shell.run("lab", "pull")

    def fail(request: str) -> None:
        raise TransportError("the hub cannot be reached", where=API_ROOT)

    shell.hub.fail = fail
    assert "cannot be reached" in str(shell.fails(TransportError, "lab", "channel", "reads"))
    # `status` goes on without a network.
    assert "tells of 1 read" in status(shell)


def test_a_channel_that_is_none(shell: Shell) -> None:
    shell.fails(InputError, "lab", "channel", "reads", "square")
