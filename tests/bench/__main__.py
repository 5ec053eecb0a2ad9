"""`make bench`: every measurement, side by side with what a user would pick instead.

Figures are of this machine and this run; the ratios are what carries over.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import platform
import sys
from datetime import UTC, datetime
from typing import Final

from tests.bench.table import Row, render

_PARTS: Final = tuple(
    part
    for part in (
        "compile",
        "match",
        "text",
        "read",
        "live",
        "oracle",
        "cluster",
        "hunt",
        "hub",
        "hublog",
        "service",
        "push",
        "channel",
        "sealing",
        "log",
        "oblivious",
        "model",
    )
    if importlib.util.find_spec(f"tests.bench.{part}")
)


def main() -> None:
    """Run the parts that are named, or all, and print one table for each."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, []], help="default: all")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--full", action="store_true", help="the largest sizes too; takes hours")
    options = parser.parse_args()
    measured: dict[str, list[Row]] = {}
    for part in options.parts or _PARTS:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        measure = importlib.import_module(f"tests.bench.{part}").measure
        # Parts that have no larger sizes take no argument.
        larger = options.full and "full" in inspect.signature(measure).parameters
        measured[part] = measure(full=True) if larger else measure()
        if not options.json:
            print(f"\n## {part}\n\n{render(measured[part])}", flush=True)
    machine = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    if options.json:
        rows = {part: [row._asdict() for row in found] for part, found in measured.items()}
        print(json.dumps({"machine": machine, "measured": rows}, indent=2))
    else:
        print("\n" + ", ".join(f"{name} {value}" for name, value in machine.items()))


if __name__ == "__main__":
    main()
