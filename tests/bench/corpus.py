"""Prompts, and the phrases, expressions and indicators that are looked for in them.

Prompts have about 118 words of a vocabulary whose words are as unequally frequent as those of a
language; one in fifty is a near duplicate of one of a few hundred templates, one in a hundred
holds a phrase. 690 bytes on average.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

_LETTERS: Final = "etaoinshrdlucmfwypvbgkjqxz"
_WEIGHTS: Final = [120, 90, 80, 75, 70, 67, 63, 61, 60, 42, 40, 28, 28, 24, 24, 22, 22, 20, 19, 15,
                   10, 8, 2, 2, 1, 1]  # fmt: skip
_LENGTHS: Final = [2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10]
_RARE: Final = 60
"""The most frequent words, which phrases and expressions seldom begin with."""
WORDS: Final = 20_000


@dataclass
class Corpus:
    """Everything drawn from one seed."""

    seed: int = 1
    phrases: list[str] = field(default_factory=list)
    regexes: list[str] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        self._words = list(dict.fromkeys(self._word() for _ in range(2 * WORDS)))[:WORDS]
        self._sums = list(accumulate(1 / (rank + 3) for rank in range(len(self._words))))
        self.phrases = list(dict.fromkeys(self._text(3, 8) for _ in range(10_500)))[:10_000]
        self.regexes = [self._regex(number) for number in range(1_000)]
        self.templates = [self._text(60, 120) for _ in range(400)]

    def _word(self) -> str:
        letters = self._draw.choices(_LETTERS, _WEIGHTS, k=self._draw.choice(_LENGTHS))
        return "".join(letters)

    def _chosen(self, count: int) -> list[str]:
        return self._draw.choices(self._words, cum_weights=self._sums, k=count)

    def _text(self, least: int, most: int) -> str:
        return " ".join(self._chosen(self._draw.randint(least, most)))

    def _rare(self) -> str:
        return self._draw.choice(self._words[_RARE:])

    def _regex(self, number: int) -> str:
        one, other, third = self._rare(), self._rare(), self._rare()
        return (
            rf"(?i){one}\s+{other}\s+(?:the\s+)?{third}",
            rf"\b{one}\W+(?:\w+\W+){{0,3}}{other}\b",
            rf"{one}.{{0,60}}{other}",
            rf"(?:{one}|{other}|{third}) {self._rare()}",
            rf"(?i)\b{one} {other}[:;,] ",
            rf"{self._text(2, 3)}[.!?]\s+(?i:{self._text(2, 3)})",
            rf"(?i)(?:please|now)\s+{one}.{{0,40}}{other}\s+{third}",
            rf"<{one}>[^<]{{1,200}}</{one}>",
            rf"{one}(?:{other}|{third})?\s+{self._text(2, 4)}$",
            rf"\b[A-Z]{{2}}{number % 97:02d}-\d{{4}}-[a-f0-9]{{6}}\b",
        )[number % 10]

    def prompts(self, count: int) -> Iterator[str]:
        """The prompts, each one line; one in fifty has a few characters beyond ASCII."""
        draw = self._draw
        for number in range(count):
            words = self._chosen(max(3, int(draw.expovariate(1 / 118))))
            if number % 50 == 7:
                words = draw.choice(self.templates).split()
                words[draw.randrange(len(words))] = "instead"
            for at in range(0, len(words), 17):
                words[at] = words[at].capitalize()
            for at in range(5, len(words), 31):
                words[at] = str(draw.randrange(10_000))
            for at in range(9, len(words), 60):
                words[at] = f'"{words[at]}"'
            if number % 100 == 3:
                words[len(words) // 2] = draw.choice(self.phrases)
            if number % 50 == 11:
                words[-1] += " \u2013 na\u00efve caf\u00e9"
            yield " ".join(words) + "."
