"""From a publication to the line that `stillwatch hunt run --follow --json` prints about it.

The subscriber is the command itself, in a process of its own, over an event store of some
thousand exchanges; what is measured begins with the sealing of an indicator and ends when the line
is read here. Starting the command is not part of it: it has been following for a while.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hub.cli.options import desk_of
from hub.client.home import Home
from hub.client.keyring import Unlock
from hub.client.publisher import Options, prepare, publish
from tests.e2e.members import Work

EXCHANGES: Final = 20_000
_EVERY: Final = 100
_LONGEST_S: Final = 30.0


def hunted(work: Work, publications: int) -> list[float]:
    """Seconds from the beginning of each publication to the line about its match.

    Args:
        work: a served hub, with the members `lab` and `provider` in the channel `circle`.
        publications: how many, at most 250, beside a first one that compiles kernels.
    """
    log = work.folder / "exchanges.jsonl"
    wanted = publications + 1
    log.write_text("".join(f"{json.dumps(_exchange(n, wanted))}\n" for n in range(EXCHANGES)))
    work.run("provider", "hunt", "add", log.name)
    process = work.start("provider", "hunt", "run", "--follow", "--json")
    matched: dict[str, float] = {}
    reader = threading.Thread(target=_read, args=(process, matched))
    reader.start()
    try:
        # Until it has hunted for what was there, and follows.
        time.sleep(10)
        assert process.poll() is None, "the subscriber does not follow"
        return _publish(work, wanted, matched)[1:]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        reader.join(30)


def _publish(work: Work, wanted: int, matched: dict[str, float]) -> list[float]:
    taken = []
    # Valid when the exchanges were observed.
    since = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with Home.open(work.folder / "lab", Unlock.key_file()) as home:
        desk = desk_of(home)
        for number in range(wanted):
            path = work.folder / f"hunted-{number}.csv"
            row = f"203.0.113.{number + 1},LANTERN,{since}"
            path.write_text(f"address,campaign,first_seen\n{row}\n")
            began = time.perf_counter()
            channel = home.state.channel("circle")
            prepared = prepare(home, channel, (path,), Options(), now=int(time.time()))
            publish(desk, channel, prepared)
            until = time.monotonic() + _LONGEST_S
            while _customer(number) not in matched and time.monotonic() < until:
                time.sleep(0.002)
            taken.append(matched[_customer(number)] - began)
            time.sleep(0.3)
    return taken


def _read(process: subprocess.Popen[str], matched: dict[str, float]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        moment = time.perf_counter()
        if line.startswith("{"):
            for campaign in json.loads(line)["campaigns"]:
                for customer in campaign["customers"]:
                    matched.setdefault(customer["account_id"], moment)


def _customer(number: int) -> str:
    return f"known-{number}"


def _exchange(number: int, wanted: int) -> dict[str, Any]:
    """Every hundredth comes from an address that will be published, each of one customer."""
    which = number // _EVERY % wanted
    known = number % _EVERY == 0
    return {
        "timestamp": (datetime.now(UTC) - timedelta(seconds=number)).isoformat(),
        "request_id": f"r{number}",
        "account_id": _customer(which) if known else f"acct-{number % 400}",
        "client_ip": f"203.0.113.{which + 1}" if known else f"192.0.2.{number % 250}",
        "model": "example-frontier-4",
    }
