"""Chats that a table holds as JSON in one column, as exports of Langfuse and Helicone do.

Only a column that the operator names as the prompt is looked into: a customer's own prompt may
well be JSON, and is then matched as the text that it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.traffic.assemble import Piece, Values
from hub.traffic.messages import chat_text

_LIKE_JSON: Final = r"^\s*[\[{]"


def with_user_texts(piece: Piece) -> Piece:
    """The piece, with the user's texts where its prompts are chats as JSON."""
    rest = None if piece.rest is None else with_user_texts(piece.rest)
    prompts = piece.columns.get("prompt")
    if prompts is not None:
        piece = replace(piece, columns={**piece.columns, "prompt": _user_texts(prompts)})
    return replace(piece, rest=rest)


def _user_texts(values: Values) -> Values:
    if not isinstance(values, pa.Array):
        return [chat_text(value) if isinstance(value, str) else value for value in values]
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    likely = pc.fill_null(pc.match_substring_regex(values, _LIKE_JSON), False)
    rows = np.flatnonzero(likely.to_numpy(zero_copy_only=False))
    if not len(rows):
        return values
    texts: list[Any] = values.to_pylist()
    for row in rows.tolist():
        texts[row] = chat_text(texts[row])
    return texts
