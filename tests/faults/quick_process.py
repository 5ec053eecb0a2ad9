"""Commands in processes of their own that need not import everything anew.

A server process imports the commands once and forks for each; the forked process knows nothing of
the one that asked: its folder, environment and standard streams are its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import hub.cli.channel
import hub.cli.pull
import hub.client.audit
from hub.cli.main import main

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])
LOADED: Final = (hub.cli.channel, hub.cli.pull, hub.client.audit)


def run(words: Sequence[str], folder: Path, home: Path, logs: Path) -> tuple[int, str, str]:
    """Run a command to its end.

    Args:
        words: of the command line.
        folder: where it runs.
        home: the organisation's home, which need not be there.
        logs: where the output is written, not in `folder`.
    Returns:
        Exit code, standard output, standard error.
    """
    out, err = logs / "stdout", logs / "stderr"
    environment = {"STILLWATCH_HOME": str(home), "HOME": str(folder)}
    process = _CONTEXT.Process(
        target=_inside, args=(list(words), str(folder), environment, str(out), str(err))
    )
    process.start()
    process.join(120)
    code = process.exitcode
    assert code is not None, "the command hangs"
    process.close()
    return code, out.read_text(), err.read_text()


def _inside(
    words: Sequence[str], folder: str, environment: Mapping[str, str], out: str, err: str
) -> None:
    written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (name, how) in enumerate(
        ((os.devnull, os.O_RDONLY), (out, written), (err, written))
    ):
        descriptor = os.open(name, how, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("error")
    sys.argv = ["stillwatch", *words]
    main()
