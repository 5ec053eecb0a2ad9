"""A development hub that never stops listening to wrong credentials: they are part of the test.

Run as `python -m tests.interop.patient_hub hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

from typing import Any

from hub.cli import hub_dev
from hub.cli.main import main
from hub.settings import HubLimits


def patient(**limits: Any) -> HubLimits:
    """The limits asked for, but for the one on failed log-ins."""
    return HubLimits(**{**limits, "auth_failures": 10**9})


def run() -> None:
    """Be the command line with these limits."""
    vars(hub_dev)["HubLimits"] = patient
    main()


if __name__ == "__main__":
    run()
