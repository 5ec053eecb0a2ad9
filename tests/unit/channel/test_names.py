"""The note in which an owner says what members are called."""

from __future__ import annotations

import pytest

from hub.channel.names import MAX_NAME, MAX_NAMES, is_names, names_content, parse_names
from hub.errors import InputError
from hub.model.codec import canonical

LAB = "identity--00000000-0000-4000-8000-000000000001"


def _id(number: int) -> str:
    return f"identity--00000000-0000-4000-8000-{number:012x}"


def test_names_come_back() -> None:
    said = {LAB: "Example Lab", _id(2): "Anbieter Süd"}
    assert parse_names({"content": names_content(said)}) == said


def test_what_is_no_name_is_left_out() -> None:
    said = {LAB: "x" * 300, _id(2): "", _id(3): "two\nlines"}
    assert parse_names({"content": names_content(said)}) == {LAB: "x" * MAX_NAME}
    many = {_id(number): "n" * MAX_NAME for number in range(MAX_NAMES + 1)}
    assert len(parse_names({"content": names_content(many)})) == MAX_NAMES


def test_notes_of_names_have_the_label() -> None:
    note = {"type": "note", "labels": ["stillwatch:names"]}
    assert is_names(note)
    assert not is_names(note | {"type": "report"})
    assert not is_names(note | {"labels": "stillwatch:names"})


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"names": []},
        {"names": {}, "more": 1},
        {"names": {"identity--x": "Lab"}},
        {"names": {LAB: 1}},
        {"names": {LAB: ""}},
        {"names": {LAB: "a\nb"}},
        {"names": {LAB: "x" * (MAX_NAME + 1)}},
        {"names": {_id(number): "n" for number in range(MAX_NAMES + 1)}},
    ],
)
def test_another_form_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(InputError):
        parse_names({"content": canonical(value).decode()})


@pytest.mark.parametrize("content", ["", "not json", '{"names": {}}', "\ud800", None])
def test_what_is_not_canonical_is_refused(content: object) -> None:
    with pytest.raises(InputError):
        parse_names({"content": content})
