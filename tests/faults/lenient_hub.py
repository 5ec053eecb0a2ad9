"""The negative control: a hub that reads JSON as Python does, and inflates whatever it is sent.

Run as `python -m tests.faults.lenient_hub hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from hub.cli.main import main
from hub.server import body, intake
from hub.settings import HubLimits


class _Codec:
    @staticmethod
    def loads(raw: bytes, **caps: object) -> Any:
        """Without any cap."""
        del caps
        return json.loads(raw.decode("utf-8", "replace"))


def _inflate(packed: bytes, limits: HubLimits) -> bytes:
    del limits
    return zlib.decompress(packed, 16 + zlib.MAX_WBITS)


if __name__ == "__main__":
    vars(intake)["codec"] = _Codec
    vars(intake)["_check_values"] = lambda body, most: None
    vars(body)["_inflate"] = _inflate
    main()
