"""The `stillwatch` command with its memory left open to a search by the same account.

A custodian closes its memory to all but root; a search by anybody else would see nothing.
"""

from __future__ import annotations

from hub.cli import custodian_data, custodian_serve
from hub.cli.main import main


def leave_open() -> None:
    """Let other processes of this account read this one's memory."""
    for module in (custodian_data, custodian_serve):
        vars(module)["protect_process"] = lambda: None


if __name__ == "__main__":
    leave_open()
    main()
