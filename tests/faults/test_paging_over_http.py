"""Whatever is posted, deleted and restarted between two pages, pollers over HTTP miss nothing.

Pollers of several habits ask page by page, at any moment: by `next` or by the last X-TAXII date,
with small and large pages, and again when an answer was lost. At the end each has seen whatever is
stored, once, in order. The control is a store that forgets a row behind each `next`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from hub.settings import HubLimits, HubSettings
from hub.store.interface import Store
from tests.store.conftest import STORES, give_back_databases
from tests.unit.server.harness import House, indicator

TIMES: Final = [f"2026-01-0{day}T00:00:00.000Z" for day in (1, 2, 3)]
Opener = Callable[[Path], Store]
Key = tuple[str, str]


@dataclass
class Poller:
    """One client, and what it remembers."""

    by_next: bool
    limit: int
    query: dict[str, str] = field(default_factory=dict)
    seen: list[Key] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """One collection over HTTP, and pollers between writes."""

    opener: Opener

    @initialize()
    def begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        limits = HubLimits(account_rate=0, address_rate=0)
        self._house = House(
            Path(self._folder.name), HubSettings(limits=limits), opener=type(self).opener
        ).__enter__()
        self._url = f"/stillwatch/collections/{self._house.plain(owner='rw')}/objects/"
        self._stored: set[Key] = set()
        self._pollers = [Poller(True, 2), Poller(False, 3), Poller(True, 1), Poller(False, 100)]

    @rule(chosen=st.lists(st.tuples(st.integers(0, 6), st.sampled_from(TIMES)), max_size=6))
    def post(self, chosen: list[tuple[int, str]]) -> None:
        objects = [indicator(number, modified=time) for number, time in chosen]
        body = json.dumps({"objects": objects}).encode()
        answer = self._house.ask("POST", self._url, body=body)
        assert answer.status == (202 if objects else 422)
        self._stored |= {(one["id"], one["modified"]) for one in objects}

    @rule(number=st.integers(0, 6), every=st.booleans())
    def delete(self, number: int, every: bool) -> None:
        name = indicator(number)["id"]
        held = sorted(key for key in self._stored if key[0] == name)
        query = {"match[version]": "all"} if every else {}
        answer = self._house.ask("DELETE", f"{self._url}{name}/", query=query)
        assert answer.status == (200 if held else 404)
        self._stored -= set(held if every else held[-1:])

    @rule()
    def restart(self) -> None:
        self._house.restart()

    @rule(which=st.integers(0, 3), lost=st.booleans())
    def step(self, which: int, lost: bool) -> None:
        poller = self._pollers[which]
        if lost:
            # The answer does not arrive; the same question is asked again.
            self._ask(poller)
        self._take(poller)

    def _ask(self, poller: Poller) -> Any:
        query = {"match[version]": "all", "limit": str(poller.limit), **poller.query}
        answer = self._house.ask("GET", self._url, query=query)
        assert answer.status == 200, answer.body
        return answer

    def _take(self, poller: Poller) -> bool:
        """Read one page; whether there may be more now."""
        answer = self._ask(poller)
        page = answer.json
        objects = page.get("objects", [])
        poller.seen += [(one["id"], one["modified"]) for one in objects]
        if objects:
            poller.dates += [
                answer.headers["x-taxii-date-added-first"],
                answer.headers["x-taxii-date-added-last"],
            ]
        if poller.by_next and page.get("more"):
            poller.query = {**poller.query, "next": page["next"]}
        elif objects:
            poller.query = {"added_after": answer.headers["x-taxii-date-added-last"]}
        elif "next" in poller.query:
            # What was to come is deleted meanwhile.
            poller.query = {"added_after": answer.headers["x-taxii-date-added-last"]}
        return bool(objects)

    def teardown(self) -> None:
        if not hasattr(self, "_pollers"):
            return
        try:
            for poller in self._pollers:
                while self._take(poller):
                    pass
                self._judge(poller)
        finally:
            self._house.__exit__(None, None, None)
            give_back_databases(Path(self._folder.name))
            self._folder.cleanup()

    def _judge(self, poller: Poller) -> None:
        missing = self._stored - set(poller.seen)
        assert not missing, f"a poller missed {missing}"
        assert poller.dates == sorted(poller.dates), "the order went back"


def run(opener: Opener, examples: int) -> None:
    """Let Hypothesis look for a history in which a poller misses something."""

    class Chosen(Machine):
        pass

    Chosen.opener = staticmethod(opener)
    run_state_machine_as_test(
        Chosen,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            # To shrink a history takes minutes; a history that fails is telling as it is.
            phases=(Phase.generate,),
        ),
    )


def opener_of(name: str) -> Opener:
    """Opens one of the stores that the contract is checked on."""
    return lambda folder: STORES[name](folder, None)


@pytest.mark.parametrize(("name", "examples"), [("sqlite", 10), ("postgres", 3)])
def test_pollers_over_http_miss_nothing(name: str, examples: int) -> None:
    run(opener_of(name), examples)


@pytest.mark.drill
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "examples"), [("sqlite", 200), ("postgres", 60)])
def test_pollers_over_http_miss_nothing_in_many_histories(name: str, examples: int) -> None:
    run(opener_of(name), examples)


def forgetful(folder: Path) -> Store:
    """A store that leaves out the first row behind each `next`."""
    store = STORES["sqlite"](folder, None)
    whole = store.page

    def page(collection_id: str, filters: Any, limit: int) -> Any:
        found = whole(collection_id, filters, limit)
        if filters.next is not None and len(found.rows) > 1:
            found = type(found)(found.rows[1:], found.more, found.next)
        return found

    object.__setattr__(store, "page", page)
    return store


def test_a_forgetful_store_is_caught() -> None:
    with pytest.raises(AssertionError, match="missed"):
        run(forgetful, 30)
