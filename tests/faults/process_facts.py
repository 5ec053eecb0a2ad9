"""What the kernel says about a running process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in KiB: now, and at most so far."""

    now: int
    peak: int


def memory(pid: int) -> Memory:
    """Of one process."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return Memory(int(fields["VmRSS"].split()[0]), int(fields["VmHWM"].split()[0]))


def cpu_seconds(pid: int) -> float:
    """Time that a process was computing, in steps of the kernel's clock (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    """Open files and connections of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
