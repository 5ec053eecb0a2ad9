"""A recovery key on paper: 32 bytes as nine lines of words, in which an error shows its place.

Lines 1 to 8 carry four bytes of the key each and one check word; line 9 carries four check words
over the whole key. A wrong word that is in the list is found by its line's check word, and its
place in the line by the check over the whole.
Source: schemas/channel-v1.md, "Back-ups".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from hub.channel.primitives.hash import expand, label, lp, sha256
from hub.channel.words import WORDS
from hub.errors import InputError

KEY_SIZE: Final = 32
LINES: Final = 9
_ROWS: Final = 8
_BYTES: Final = 4
_MAX_TEXT: Final = 64 * 1024
_NUMBERED: Final = re.compile(r"^[ \t]*([1-9])[.):][ \t]+([A-Za-z][A-Za-z ,\t]*)$", re.MULTILINE)
_VALUES: Final = {word: value for value, word in enumerate(WORDS)}


def recovery_lines(key: bytes) -> list[tuple[str, ...]]:
    """The nine lines for a key.

    Raises:
        InputError: the key has another length.
    """
    _check(key)
    rows = [key[at : at + _BYTES] for at in range(0, KEY_SIZE, _BYTES)]
    lines = [row + _row_check(number, row) for number, row in enumerate(rows, 1)]
    return [tuple(WORDS[value] for value in line) for line in (*lines, _whole_check(key))]


def parse_line(number: int, text: str) -> bytes:
    """One line as its values, with what its words alone can show to be wrong.

    Args:
        number: 1 to 9.
        text: the words, in any case, with commas or the line's number before them or not.
    Raises:
        InputError: names the line and, where it can, the word.
    """
    words = re.findall(r"[a-z]+", text.lower())
    size = _BYTES if number == LINES else _BYTES + 1
    if len(words) != size:
        raise InputError(f"has {len(words)} words instead of {size}", where=f"line {number}")
    for place, word in enumerate(words, 1):
        if word not in _VALUES:
            raise InputError(
                "is not a word of the list", where=f"line {number}, word {place}", hint=_HINT
            )
    values = bytes(_VALUES[word] for word in words)
    if number != LINES and values[_BYTES:] != _row_check(number, values[:_BYTES]):
        raise InputError("one of its words is wrong", where=f"line {number}", hint=_HINT)
    return values


def key_of(text: str) -> bytes:
    """The key of which `recovery_lines` was made.

    Args:
        text: a filled-in form with its numbered lines, or the 44 words alone.
    Raises:
        InputError: names the line and, where it can, the word that is wrong; never the word.
    """
    if len(text) > _MAX_TEXT:
        raise InputError(f"longer than {_MAX_TEXT} characters", where="recovery key")
    lines = _lines(text)
    values: list[bytes | None] = []
    broken: list[InputError] = []
    for number, line in enumerate(lines, 1):
        try:
            values.append(parse_line(number, line))
        except InputError as error:
            values.append(None)
            broken.append(error)
    if len(broken) == 1:
        raise _located(lines, values, broken[0]) from None
    if broken:
        places = ", ".join(str(each.where) for each in broken)
        raise InputError("does not fit", where=places, hint=_HINT)
    return join_lines([each for each in values if each is not None])


def join_lines(values: Sequence[bytes]) -> bytes:
    """The key from nine lines that `parse_line` took.

    Raises:
        InputError: the check over the whole does not fit.
    """
    key = b"".join(row[:_BYTES] for row in values[:_ROWS])
    if _whole_check(key) != values[_ROWS]:
        raise InputError("a word of it is wrong", where="line 9", hint=_HINT)
    return key


def backup_key(key: bytes) -> bytes:
    """The cipher's key of a back-up."""
    _check(key)
    return expand(key, label("backup key"))


def backup_key_id(key: bytes) -> bytes:
    """32 public bytes by which a back-up tells its recovery key from others."""
    _check(key)
    return sha256(label("backup key id") + lp(key))


_HINT: Final = "compare the line with the form, word by word"


def _lines(text: str) -> list[str]:
    numbered = _NUMBERED.findall(text)
    if not numbered:
        words = re.findall(r"[A-Za-z]+", text)
        size = _ROWS * (_BYTES + 1) + _BYTES
        if len(words) != size:
            raise InputError(f"has {len(words)} words instead of {size}", where="recovery key")
        return [" ".join(words[at : at + _BYTES + 1]) for at in range(0, size, _BYTES + 1)]
    numbers = [int(number) for number, _ in numbered]
    for wanted in range(1, LINES + 1):
        if numbers.count(wanted) != 1:
            fault = "is missing" if wanted not in numbers else "is there twice"
            raise InputError(fault, where=f"line {wanted}", hint=_HINT)
    return [line for _, line in sorted((int(number), line) for number, line in numbered)]


def _located(lines: Sequence[str], values: Sequence[bytes | None], error: InputError) -> InputError:
    """The same error with the place of the one wrong word, where the whole check shows it."""
    number = values.index(None) + 1
    words = re.findall(r"[a-z]+", lines[number - 1].lower())
    last = values[_ROWS]
    if number == LINES or last is None or len(words) != _BYTES + 1:
        return error
    if any(word not in _VALUES for word in words):
        return error
    row = bytes(_VALUES[word] for word in words)
    for places, candidate in _repairs(row):
        if candidate[_BYTES:] != _row_check(number, candidate[:_BYTES]):
            continue
        rows = [candidate if each is None else each for each in values[:_ROWS]]
        if _whole_check(b"".join(each[:_BYTES] for each in rows)) == last:
            return InputError(
                "is wrong" if len(places) == 1 else "have changed places",
                where=f"line {number}, word{'s' * (len(places) > 1)} "
                + " and ".join(str(place + 1) for place in places),
                hint=_HINT,
            )
    return error


def _repairs(row: bytes) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Every row that differs in one word, or by two that changed places."""
    for place in range(len(row)):
        for value in range(256):
            yield (place,), row[:place] + bytes([value]) + row[place + 1 :]
    for one, other in combinations(range(len(row)), 2):
        swapped = bytearray(row)
        swapped[one], swapped[other] = row[other], row[one]
        yield (one, other), bytes(swapped)


def _row_check(number: int, row: bytes) -> bytes:
    return sha256(label("recovery line") + bytes([number]) + row)[:1]


def _whole_check(key: bytes) -> bytes:
    return sha256(label("recovery key") + key)[:_BYTES]


def _check(key: bytes) -> None:
    if len(key) != KEY_SIZE:
        raise InputError(f"a recovery key has {KEY_SIZE} bytes, not {len(key)}")
