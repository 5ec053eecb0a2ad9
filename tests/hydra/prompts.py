"""Prompts by the hundred thousand: free text, short turns, and templates with slots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tests.hydra.lexicon import HEADS, LEADS, OPENERS, RULES, SENTENCES, SHORT, TAILS, WORDS

FREE: Final = -1
"""Instead of a template's number: text that nobody else writes."""
TURN: Final = -2
"""Instead of a template's number: a short turn such as "continue"."""

Ints = NDArray[np.int64]
_SLOT: Final = re.compile(r"\{(\w+)\}")
_CHOICE: Final = re.compile(r"\[([^\]]*)\]")
_VOCABULARY: Final = {name: pa.array(words, pa.large_string()) for name, words in WORDS.items()}


@dataclass(frozen=True)
class Template:
    """A prompt that is sent again and again with another question in it.

    Args:
        before, after: the wording in its paraphrases, each whole, around the question.
        asks: how many sentences the question has, at least and at most.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    asks: tuple[int, int]


def make_template(
    rng: np.random.Generator,
    *,
    rules: int,
    paraphrases: int = 1,
    asks: tuple[int, int] = (1, 2),
) -> Template:
    """Draw a template's fixed words, then its paraphrases.

    Args:
        rules: how many instructions it holds, each about twelve words.
        paraphrases: wordings of each side.
        asks: as `Template`.
    """
    first = [_filled(rng, str(rng.choice(OPENERS)))]
    body = [_filled(rng, RULES[n]) for n in rng.choice(len(RULES), rules, replace=False)]
    cut = int(rng.integers(0, rules + 1))
    before = [*first, *body[:cut], _filled(rng, str(rng.choice(LEADS)))]
    return Template(
        tuple(_reworded(rng, before) for _ in range(paraphrases)),
        tuple(_reworded(rng, body[cut:]) for _ in range(paraphrases)),
        asks,
    )


def texts(
    rng: np.random.Generator, kinds: Ints, templates: Sequence[Template]
) -> pa.LargeStringArray:
    """One prompt for each row.

    Args:
        kinds: `FREE`, `TURN`, or the number of a template.
    Returns:
        As many strings, in the rows' order.
    """
    order = np.argsort(kinds, kind="stable")
    values, starts = np.unique(kinds[order], return_index=True)
    counts = np.diff(np.append(starts, len(kinds)))
    made = [
        _of_kind(rng, int(kind), int(count), templates)
        for kind, count in zip(values, counts, strict=True)
    ]
    return _reordered(made, order)


def _of_kind(
    rng: np.random.Generator, kind: int, count: int, templates: Sequence[Template]
) -> pa.LargeStringArray:
    if kind == FREE:
        return _free(rng, np.minimum(rng.geometric(0.38, count), 6))
    if kind == TURN:
        weights = 1 / np.arange(1, len(SHORT) + 1)
        drawn = rng.choice(len(SHORT), count, p=weights / weights.sum())
        return pa.array(SHORT, pa.large_string()).take(pa.array(drawn))
    template = templates[kind]
    low, high = template.asks
    question = _free(rng, rng.integers(low, high + 1, count))
    before = pa.array(template.before, pa.large_string())
    after = pa.array(template.after, pa.large_string())
    sides = [side.take(pa.array(rng.integers(0, len(side), count))) for side in (before, after)]
    return pc.binary_join_element_wise(sides[0], question, sides[1], _text(" "))


def _free(rng: np.random.Generator, sizes: Ints) -> pa.LargeStringArray:
    """Sentences drawn word by word, `sizes[n]` of them in row n."""
    total = int(sizes.sum())
    parts = [_picked(rng, patterns, total) for patterns in (HEADS, SENTENCES, TAILS)]
    sentences = pc.binary_join_element_wise(*parts, _text(""))
    offsets = pa.array(np.append(0, np.cumsum(sizes)), pa.int64())
    return pc.binary_join(pa.LargeListArray.from_arrays(offsets, sentences), _text(" "))


def _picked(rng: np.random.Generator, patterns: Sequence[str], count: int) -> pa.LargeStringArray:
    """One of the patterns for each row, filled."""
    chosen = rng.integers(0, len(patterns), count)
    order = np.argsort(chosen, kind="stable")
    counts = np.bincount(chosen, minlength=len(patterns))
    made = [_drawn(rng, patterns[n], int(each)) for n, each in enumerate(counts) if each]
    return _reordered(made, order)


def _drawn(rng: np.random.Generator, pattern: str, count: int) -> pa.LargeStringArray:
    parts: list[pa.Array | pa.Scalar] = []
    for number, part in enumerate(_SLOT.split(pattern)):
        if number % 2:
            words = _VOCABULARY[part]
            parts.append(words.take(pa.array(rng.integers(0, len(words), count))))
        elif part:
            parts.append(_text(part))
    if not _SLOT.search(pattern):
        return pa.array([pattern], pa.large_string()).take(pa.array(np.zeros(count, np.int64)))
    return pc.binary_join_element_wise(*parts, _text(""))


def _reordered(made: Sequence[pa.Array], order: Ints) -> pa.LargeStringArray:
    """Texts that were made in `order`, back in the rows' own order."""
    if not made:
        return pa.array([], pa.large_string())
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.arange(len(order))
    return pa.concat_arrays(made).take(pa.array(inverse))


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _filled(rng: np.random.Generator, pattern: str) -> str:
    return _SLOT.sub(lambda found: str(rng.choice(WORDS[found[1]])), pattern)


def _reworded(rng: np.random.Generator, sentences: Sequence[str]) -> str:
    return " ".join(
        _CHOICE.sub(lambda found: str(rng.choice(found[1].split("|"))), sentence)
        for sentence in sentences
    )
