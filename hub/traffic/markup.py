"""The user's turns of a prompt that a server logs as its model sees it, in a chat template's marks.

Gateways log messages, inference servers the one text that a chat template made of them. The turns
of the user are taken out of it, as `messages` does, so that hashes, skeletons and bands agree.
"""

from __future__ import annotations

import re
from typing import Final

# The beginning of a user's turn, and what ends it, in ChatML, Llama 3, Gemma, Zephyr and Phi,
# Mistral and Llama 2.
_TEMPLATES: Final = (
    ("<|im_start|>user", re.compile(r"<\|im_(?:end|start)\|>")),
    ("<|start_header_id|>user<|end_header_id|>", re.compile(r"<\|(?:eot_id|start_header_id)\|>")),
    ("<start_of_turn>user", re.compile(r"<(?:end|start)_of_turn>")),
    ("<|user|>", re.compile(r"</s>|<\|(?:end|assistant|system)\|>")),
    ("[INST]", re.compile(r"\[/INST\]")),
)
_SYSTEM: Final = ("<<SYS>>", "<</SYS>>")


def user_turns(text: str) -> str:
    """The user's turns joined by a newline; the whole text where it has no known marks."""
    for begin, end in _TEMPLATES:
        if begin in text:
            turns = (_turn(part, end) for part in text.split(begin)[1:])
            return "\n".join(turn for turn in turns if turn)
    return text


def _turn(part: str, end: re.Pattern[str]) -> str:
    found = end.search(part)
    turn = (part if found is None else part[: found.start()]).strip()
    opening, closing = _SYSTEM
    if turn.startswith(opening) and closing in turn:
        turn = turn.partition(closing)[2].strip()
    return turn
