"""Each finding can appear: a server with that one fault, and the client that meets it."""

from __future__ import annotations

import pytest

from hub.doctor.findings import CATALOGUE
from tests.unit.doctor.faults import OF_SERVER, READING, WRITING, met, seen
from tests.unit.doctor.scripted import COLLECTION, ROOT

ELSEWHERE = {"auth-form", "plain-http", "not-taxii", "budget", "read-part", "secret-colon",
             "stale-next"}  # fmt: skip
"""Findings that `test_diagnosis.py` plants by hand."""


@pytest.mark.parametrize("name", READING)
def test_a_reading_client_meets_the_fault(name: str) -> None:
    server, who, code, severity = READING[name]
    url = f"{ROOT}collections/{server.id}/"
    found = met(seen(server, who.partition("/")[0], url=url), who)
    assert found.get(code) == severity, found


@pytest.mark.parametrize("name", OF_SERVER)
def test_the_careful_reader_meets_the_fault(name: str) -> None:
    server, code, severity = OF_SERVER[name]
    found = met(seen(server, "misp"), "server")
    assert found.get(code) == severity, found


@pytest.mark.parametrize("name", WRITING)
def test_a_posting_client_meets_the_fault(name: str) -> None:
    server, who, code = WRITING[name]
    found = met(seen(server, who.partition("/")[0], write=COLLECTION), who)
    assert code in found, found


def test_every_finding_has_a_server_that_shows_it() -> None:
    planted = {row[2] for row in READING.values()} | {row[1] for row in OF_SERVER.values()}
    planted |= {row[2] for row in WRITING.values()} | ELSEWHERE
    assert planted == set(CATALOGUE)
