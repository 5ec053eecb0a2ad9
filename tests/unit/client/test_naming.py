"""What members are called: an owner tells everybody, and each member's own word goes first."""

from __future__ import annotations

from pathlib import Path

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.names import NAMES_LABEL, names_content
from hub.client.health import health
from hub.client.naming import member_names
from hub.client.notes import note_of
from hub.client.publisher import seal_objects
from hub.client.work import Desk, flush
from tests.unit.client.circle import Circle, write_files
from tests.unit.client.council import admit, council, countersign, row_of


def names(desk: Desk) -> dict[str, str]:
    return member_names(desk.home, row_of(desk))


def say(desk: Desk, said: dict[str, str]) -> None:
    """A note of names in one's own name."""
    home, now = desk.home, desk.clock()
    trusted = home.trusted(row_of(desk))
    made = note_of(home, trusted, NAMES_LABEL, names_content(said), now)
    seal_objects(desk, row_of(desk), {Audience.DETAIL: [made]}, role=Role.PUBLISH)
    flush(desk, row_of(desk))


def test_members_that_have_not_spoken_have_the_names_that_owners_heard(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "report")
    observer = circle.admit("observer", "liaison")
    reader = circle.admit("reader", "read")
    circle.pull("provider")
    called = {
        lab.home.member_id: "Lab",
        provider.home.member_id: "Provider",
        observer.home.member_id: "Observer",
        reader.home.member_id: "Reader",
    }
    assert names(provider) == names(reader) == called
    # The notes that carry them are no material.
    (channel,) = health(provider.home, now=circle.clock()).channels
    assert channel.objects == {}


def test_a_members_own_identity_goes_before_an_owners_word(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "publish")
    other = circle.admit("other", "read")
    circle.pull("provider")
    circle.publish("provider", write_files(tmp_path)[1])
    circle.pull("lab")
    say(lab, {provider.home.member_id: "Mallory", lab.home.member_id: "The Lab"})
    result = circle.pull("other")
    assert names(other)[provider.home.member_id] == "Provider"
    assert names(other)[lab.home.member_id] == "The Lab"
    assert "note" not in result.objects
    # Who is no owner names nobody.
    circle.pull("provider")
    say(provider, {lab.home.member_id: "Mallory"})
    circle.pull("other")
    assert names(other)[lab.home.member_id] == "The Lab"


def test_whoever_signs_last_tells_the_joiners_name(circle: Circle) -> None:
    lab, second, third = council(circle)
    admit(circle, lab, "joiner")
    assert countersign(circle, second).in_force
    circle.pull("third")
    joiner = circle.desks["joiner"]
    assert names(third)[joiner.home.member_id] == "Joiner"
    circle.pull("joiner")
    assert set(names(joiner).values()) == {"Lab", "Second", "Third", "Joiner"}


def test_a_note_of_names_that_holds_none_is_passed_over(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "read")
    before = names(provider)
    home, now = lab.home, lab.clock()
    made = note_of(home, home.trusted(row_of(lab)), NAMES_LABEL, '{"names":{"x":"y"}}', now)
    seal_objects(lab, row_of(lab), {Audience.DETAIL: [made]}, role=Role.PUBLISH)
    flush(lab, row_of(lab))
    assert circle.pull("provider").alarms == []
    assert names(provider) == before
