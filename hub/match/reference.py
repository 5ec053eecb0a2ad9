"""The slow, obvious matcher: the standard's semantics over observed-data bundles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def evaluate(pattern: str, bundles: Sequence[dict[str, Any]]) -> bool:
    """Tell whether the observations in `bundles` satisfy the STIX pattern.

    Raises:
        PatternError: the text is not a STIX 2.1 pattern.
    """
    raise NotImplementedError
