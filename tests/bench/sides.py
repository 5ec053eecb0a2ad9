"""Several ways of doing one piece of work, each in a process of its own.

A process of its own gives each side its own peak memory and its own warm-up. The sides take turns,
so that a slow minute of the machine slows them all, the best of their runs counts, and all must
come to the same answer.

A part of the bench writes `SIDES: Final = {"ours": _ours, "duckdb": _duckdb}`, ends with
`if __name__ == "__main__": sides.main(SIDES)`, and asks
`sides.compare("tests.bench.match", ("ours", "duckdb"), str(folder))`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

RUNS: Final = 3
"""How often each side runs; the best counts."""
_STATUS: Final = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a side did.

    Args:
        seconds: how long the work took, without imports, compilation of kernels or set-up.
        answer: what was found, as text that must be the same for all sides.
        figures: anything else that was measured, by name.
        peak_mib: the most memory that the process held; filled in by the runner.
        cpu: processor seconds of the work, of all threads, which a busy machine changes less;
            0 where a side does not say.
    """

    seconds: float
    answer: str
    figures: Mapping[str, float] = field(default_factory=dict)
    peak_mib: float = 0.0
    cpu: float = 0.0


Side = Callable[..., Outcome]
"""Does the work, given the arguments of `compare` as strings."""


def main(sides: Mapping[str, Side]) -> None:
    """In the process of a side: do its work, and print the outcome as JSON."""
    done = sides[sys.argv[1]](*sys.argv[2:])
    found = {
        "seconds": done.seconds,
        "answer": done.answer,
        "figures": dict(done.figures),
        "peak_mib": peak_mib(),
        "cpu": done.cpu,
    }
    print(json.dumps(found))


def compare(
    module: str, sides: Sequence[str], *arguments: str, runs: int = RUNS
) -> dict[str, Outcome]:
    """Run sides in turns, several times each.

    Args:
        module: a part of the bench with a `main` as above.
    Returns:
        The fastest outcome of each side; its peak memory is the highest of its runs.
    Raises:
        AssertionError: two sides, or two runs of one, disagree.
    """
    outcomes: dict[str, list[Outcome]] = {side: [] for side in sides}
    for _ in range(runs):
        for side in sides:
            outcomes[side].append(run(module, side, *arguments))
    answers = {side: {one.answer for one in found} for side, found in outcomes.items()}
    assert len(set().union(*answers.values())) == 1, f"the answers differ: {answers}"
    return {side: _best(found) for side, found in outcomes.items()}


def run(module: str, side: str, *arguments: str) -> Outcome:
    """Run one side once.

    Raises:
        RuntimeError: it failed; the message is what it wrote to its standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, side, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {side}: {done.stderr}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def _best(found: Sequence[Outcome]) -> Outcome:
    fastest = min(found, key=lambda one: one.seconds)
    peak = max(one.peak_mib for one in found)
    cpu = min(one.cpu for one in found)
    return Outcome(fastest.seconds, fastest.answer, fastest.figures, peak, cpu)


class Clock:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def outcome(self, answer: str, figures: Mapping[str, float] | None = None) -> Outcome:
        """The outcome of work that is done now; what remains is not timed."""
        seconds, cpu = self.read()
        return Outcome(seconds, answer, figures or {}, cpu=cpu)

    def read(self) -> tuple[float, float]:
        """Seconds, and processor seconds."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def peak_mib() -> float:
    """The most memory that this process has held since it began.

    `ru_maxrss` alone may be that of the parent, which the kernel hands down; Linux has it exact.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
