"""Recovery keys on paper: what is typed wrong is found, and its place is named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.channel.recovery import KEY_SIZE, backup_key, backup_key_id, key_of, recovery_lines
from hub.channel.words import WORDS
from hub.errors import InputError

KEY = bytes(range(32))
LINES = recovery_lines(KEY)


def _text(lines: list[tuple[str, ...]]) -> str:
    return "\n".join(f" {number}.  {'  '.join(line)}" for number, line in enumerate(lines, 1))


def _changed(line: int, word: int, value: str) -> str:
    lines = [list(each) for each in LINES]
    lines[line - 1][word - 1] = value
    return _text([tuple(each) for each in lines])


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_what_is_printed_is_read(key: bytes) -> None:
    lines = recovery_lines(key)
    assert [len(each) for each in lines] == [5] * 8 + [4]
    assert key_of(_text(lines)) == key
    assert key_of(" ".join(word.upper() for line in lines for word in line)) == key


def test_a_whole_page_is_read() -> None:
    page = f"RECOVERY FORM\nMade 2026-01-01\n3.14 is no line\n\n{_text(LINES)}\n\nChecked by ___\n"
    assert key_of(page) == KEY
    assert key_of(_text(LINES).replace("  ", ", ").replace("., ", ".  ")) == KEY


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(1, 5), st.sampled_from(WORDS))
def test_one_wrong_word_is_found_and_located(line: int, word: int, value: str) -> None:
    if LINES[line - 1][word - 1] == value:
        return
    with pytest.raises(InputError) as caught:
        key_of(_changed(line, word, value))
    # A wrong word may fit the line's own check by chance; then the whole's check finds it.
    assert caught.value.where in (f"line {line}, word {word}", f"line {line}", "line 9")
    said = f"{caught.value} {caught.value.hint}"
    assert value not in said.split()
    assert LINES[line - 1][word - 1] not in said.split()


def test_every_word_of_the_last_line_counts() -> None:
    for word in range(1, 5):
        other = WORDS[(WORDS.index(LINES[8][word - 1]) + 1) % 256]
        with pytest.raises(InputError, match="line 9"):
            key_of(_changed(9, word, other))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (_changed(2, 3, "zippers"), "line 2, word 3: is not a word of the list"),
        (_changed(2, 3, ""), "line 2: has 4 words instead of 5"),
        (_text([*LINES[:3], tuple(reversed(LINES[3])), *LINES[4:]]), "line 4"),
        (_text([LINES[1], LINES[0], *LINES[2:]]), "line 1, line 2: does not fit"),
        (_text(LINES[:8]), "line 9: is missing"),
        (_text(LINES) + "\n 9.  " + " ".join(LINES[8]), "line 9: is there twice"),
        ("acid acre", "has 2 words instead of 44"),
        ("", "has 0 words instead of 44"),
        ("acid " * 100_000, "longer than"),
    ],
)
def test_what_is_wrong_is_named(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        key_of(text)


def test_two_words_that_changed_places_are_named() -> None:
    line = list(LINES[3])
    line[0], line[2] = line[2], line[0]
    text = _text([*LINES[:3], tuple(line), *LINES[4:]])
    with pytest.raises(InputError, match="line 4, words 1 and 3: have changed places"):
        key_of(text)


def test_the_public_id_is_not_the_key() -> None:
    assert len({KEY, backup_key(KEY), backup_key_id(KEY)}) == 3
    with pytest.raises(InputError):
        recovery_lines(bytes(KEY_SIZE - 1))
