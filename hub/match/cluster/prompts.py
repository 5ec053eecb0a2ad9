"""What of a prompt its template leaves in every instance: skeleton, ends and rare word runs.

The near-duplicate bands find prompts of which most words agree. A template whose slots hold long
texts leaves less than half of the words alike: then its first words, its last words, or one of its
own word runs still recur. Each is hashed to 32 bits; two that collide by chance make one false
edge among millions, which no decision rests on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.fingerprint.kernels import mix64
from hub.fingerprint.masking import CLASSES, WORD, Bytes
from hub.match.index.buffers import Offsets, string_buffers

Nodes = NDArray[np.uint32]

END_WORDS: Final = 8
"""Words of the first and of the last run; fewer are common phrases."""
RUN_WORDS: Final = 5
RUNS: Final = 4
"""Word runs kept of a prompt, those of the smallest hash: a template that gives a third of the
words keeps at least one of its own in four prompts of five."""
WHOLE: Final = 0
SKELETON: Final = 1
FIRST: Final = 2
LAST: Final = 3
KINDS: Final = 4 + RUNS
_MIN_WORDS: Final = 12
_FNV_OFFSET: Final = np.uint64(0xCBF29CE484222325)
_FNV_PRIME: Final = np.uint64(0x100000001B3)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_LOW: Final = np.uint64(0xFFFFFFFF)


@kernel
def _slot(data: Bytes, start: int, end: int) -> int:
    """Which slot's name (num, str, url) the word is, 0 for none."""
    if end - start != 3:
        return 0
    word = (int(data[start]) << 16) | (int(data[start + 1]) << 8) | int(data[start + 2])
    if word == 0x6E756D:
        return 1
    if word == 0x737472:
        return 2
    return 3 if word == 0x75726C else 0


@kernel
def _node(value: np.uint64, kind: int) -> np.uint32:
    """A node of one kind; never zero, which means none."""
    mixed = mix64(value + np.uint64(kind + 1) * _GOLDEN) & _LOW
    return np.uint32(mixed) if mixed else np.uint32(1)


@kernel
def _words(data: Bytes, start: int, end: int, classes: Bytes, words: NDArray[np.uint64]) -> int:
    """Hash the words of a normalised text; slots that follow one another count once."""
    count = 0
    before = 0
    i = start
    while i < end:
        if not classes[data[i]] & WORD:
            i += 1
            continue
        first = i
        value = _FNV_OFFSET
        while i < end and classes[data[i]] & WORD:
            value = (value ^ np.uint64(data[i])) * _FNV_PRIME
            i += 1
        slot = _slot(data, first, i)
        if slot == 0 or slot != before:
            words[count] = mix64(value)
            count += 1
        before = slot
    return count


@kernel
def _run(words: NDArray[np.uint64], start: int, length: int) -> np.uint64:
    value = _FNV_OFFSET
    for i in range(start, start + length):
        value = mix64(value ^ words[i]) * _FNV_PRIME
    return value


@kernel
def _smallest(words: NDArray[np.uint64], count: int, out: NDArray[np.uint64]) -> int:
    """The smallest distinct hashes of all runs, ascending; how many there are."""
    kept = 0
    for start in range(count - RUN_WORDS + 1):
        value = _run(words, start, RUN_WORDS)
        at = kept
        while at > 0 and out[at - 1] > value:
            at -= 1
        if at == RUNS or (at > 0 and out[at - 1] == value):
            continue
        kept = min(kept + 1, RUNS)
        for i in range(kept - 1, at, -1):
            out[i] = out[i - 1]
        out[at] = value
    return kept


@kernel
def _rows(data: Bytes, offsets: Offsets, classes: Bytes, out: NDArray[np.uint32]) -> None:
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    words = np.empty(longest // 2 + 1, np.uint64)
    runs = np.empty(RUNS, np.uint64)
    for row in range(offsets.size - 1):
        count = _words(data, offsets[row], offsets[row + 1], classes, words)
        if count == 0:
            continue
        whole = _FNV_OFFSET
        for i in range(offsets[row], offsets[row + 1]):
            whole = (whole ^ np.uint64(data[i])) * _FNV_PRIME
        out[row, WHOLE] = _node(whole, WHOLE)
        if count < RUN_WORDS:
            continue
        out[row, SKELETON] = _node(_run(words, 0, count), SKELETON)
        if count < _MIN_WORDS:
            continue
        out[row, FIRST] = _node(_run(words, 0, END_WORDS), FIRST)
        out[row, LAST] = _node(_run(words, count - END_WORDS, END_WORDS), LAST)
        for i in range(_smallest(words, count, runs)):
            out[row, LAST + 1 + i] = _node(runs[i], LAST + 1)


def nodes_of(normalised: Any) -> Nodes:
    """The nodes of many prompts.

    Args:
        normalised: N strings as `normalise_batch` made them; null has no nodes.
    Returns:
        (N, KINDS): the whole text, the skeleton, the first and last words, and word runs; zero
        where there is none. Prompts of fewer than 12 words have a whole and a skeleton, of fewer
        than 5 a whole only: short texts are alike by chance.
    """
    out = np.zeros((len(normalised), KINDS), np.uint32)
    data, offsets = string_buffers(normalised)
    _rows(data, offsets, CLASSES, out)
    if normalised.null_count:
        out[normalised.is_null().to_numpy(zero_copy_only=False)] = 0
    return out


def stored_nodes(template: Any, bands: NDArray[np.uint64]) -> Nodes:
    """The nodes of prompts of which only features were kept.

    Args:
        template: N hex digests of skeletons, or None.
        bands: (N, 16) near-duplicate bands; zero is none.
    Returns:
        As `nodes_of`; bands take the place of word runs, and there is no whole text.
    """
    out = np.zeros((len(bands), KINDS), np.uint32)
    if template is not None:
        heads = np.array([int(one[:8], 16) if one else 0 for one in template.to_pylist()])
        out[:, SKELETON] = heads.astype(np.uint32)
    for i in range(RUNS):
        band = bands[:, i]
        out[:, LAST + 1 + i] = (band ^ (band >> np.uint64(32)) ^ np.uint64(i)).astype(np.uint32)
        out[band == 0, LAST + 1 + i] = 0
    return out
