"""What of a server's answer may stand in a report: short, printable, without secrets."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote

LONGEST: Final = 160
_UUID: Final = re.compile(r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Shown:
    """Text for evidence.

    Args:
        secrets: what must never be shown; a hostile server may send back what it was sent.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets if secret for form in _forms(secret)}
        self._secrets = sorted(known, key=len, reverse=True)

    def text(self, value: str, longest: int = LONGEST) -> str:
        """Printable ASCII, cut, secrets struck out."""
        for secret in self._secrets:
            value = value.replace(secret, "[secret]")
        plain = "".join(char if " " <= char <= "~" else "?" for char in value)
        return plain if len(plain) <= longest else plain[: longest - 3] + "..."

    def target(self, value: str) -> str:
        """Path and query of a request: decoded, identifiers cut to their first eight digits."""
        return self.text(_UUID.sub(r"\1~", unquote(value)))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield base64.b64encode(secret.encode()).decode("ascii")
