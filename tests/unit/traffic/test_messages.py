"""Prompts out of the message lists of different gateways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.traffic.messages import prompt_text

_CHAT = [
    {"role": "system", "content": "operator"},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": "answer"},
    {"role": "tool", "content": "result"},
    {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "image_url"}]},
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (_CHAT, "first\nsecond"),
        (json.dumps(_CHAT), "first\nsecond"),
        ({"messages": _CHAT, "model": "m"}, "first\nsecond"),
        (json.dumps({"body": {"messages": _CHAT}}), "first\nsecond"),
        ([{"role": "user", "parts": [{"type": "text", "content": "otel"}]}], "otel"),
        ([{"role": "user", "content": [{"type": "input_text", "text": "resp"}]}], "resp"),
        ({"input": "plain input"}, "plain input"),
        ({"prompt": ["one", "two"]}, "one\ntwo"),
        ({"role": "user", "content": "alone"}, "alone"),
        (["a", "b"], "a\nb"),
        ("[INST] not JSON", "[INST] not JSON"),
        ('{"an": "object that the user pasted"}', '{"an": "object that the user pasted"}'),
        ('[{"role": "user", "content": "[1]"}]', "[1]"),
        ("[", "["),
        ("[" * 100_000, "[" * 100_000),
        ("{}", None),
        ("[]", None),
        ({}, None),
        ([], None),
        (None, None),
        ("", None),
        (5, None),
        ([{"role": "user"}, {"role": "user", "content": 5}, 7, None], None),
        ([{"role": ["user"], "content": "x"}], None),
        ([{"role": "user", "content": [{"type": ["x"], "text": "x"}]}], None),
        ({"body": {"body": {"body": {"body": {"messages": _CHAT}}}}}, None),
    ],
)
def test_user_text(value: Any, expected: str | None) -> None:
    assert prompt_text(value) == expected
