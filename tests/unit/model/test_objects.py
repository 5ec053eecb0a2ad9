"""Builders of the other objects, versions, revocation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stix2
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.model import objects
from hub.model.codec import Json
from hub.model.extension import register, unpack
from hub.model.fields import CountRange, DistillationCampaign, Evidence, IndicatorControls
from hub.model.markings import TLP, tlp_of

LAB = "identity--1c24573d-e2a8-5200-a2c2-8d6f4d17f06e"
THEM = "identity--82bfadef-a32f-5914-831a-73830f3d7664"
IOC = "indicator--96e6fdc9-d50c-5d58-a613-e127f05da67f"
HYDRA = "campaign--eca3895b-d9bf-53c9-a8d5-a416437e9371"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(microseconds=1)
AUTHOR: Any = {"created_by": LAB, "created": NOW}
SEEN: Any = {"first_seen": NOW - timedelta(days=1), "last_seen": NOW}
NAIVE = datetime.fromisoformat("2026-11-21")


def test_an_identity_is_its_own_author() -> None:
    found = objects.identity("Lab", created=NOW, identity_id=LAB, sectors=["technology"])
    assert found["id"] == found["created_by_ref"] == LAB
    assert tlp_of(found) is TLP.CLEAR
    assert (
        objects.identity("Lab", created=NOW)["id"] == objects.identity("Lab", created=LATER)["id"]
    )


def test_a_campaign_tells_its_scale_in_ranges() -> None:
    scale = DistillationCampaign(account_count=CountRange.around(3100))
    found = objects.campaign("HYDRA", distillation=scale, **SEEN, **AUTHOR)
    read = unpack(found, DistillationCampaign, strict=True)
    assert read == scale
    assert found["id"] == objects.campaign("HYDRA", **AUTHOR)["id"]
    assert found["id"] != objects.campaign("HYDRA", created_by=THEM, created=NOW)["id"]
    assert "extensions" not in objects.campaign("HYDRA", **AUTHOR)


def test_a_sighting_counts() -> None:
    found = objects.sighting(IOC, count=0, where_sighted_refs=[THEM], **SEEN, **AUTHOR)
    assert found["count"] == 0
    assert found["sighting_of_ref"] == IOC
    grown = objects.sighting(
        IOC, count=9, first_seen=SEEN["first_seen"], last_seen=NOW + timedelta(days=1), **AUTHOR
    )
    assert grown["id"] == found["id"]


def test_a_false_positive_is_an_opinion() -> None:
    found = objects.opinion(IOC, "strongly-disagree", explanation="our own tests", **AUTHOR)
    assert found["opinion"] == "strongly-disagree"
    assert found["object_refs"] == [IOC]


def test_notes_and_reports_carry_evidence() -> None:
    facts = Evidence(fact_id="D-1", caveats=["single reporter"])
    for found in (
        objects.note([HYDRA], "text", evidence=facts, **AUTHOR),
        objects.report("Dossier", [HYDRA], published=NOW, evidence=facts, **AUTHOR),
    ):
        assert unpack(found, Evidence, strict=True) == facts


@pytest.mark.parametrize(
    "make",
    [
        lambda: objects.identity("", created=NOW),
        lambda: objects.identity("x", created=NOW, identity_id=IOC),
        lambda: objects.identity("x", created=NAIVE),
        lambda: objects.identity("x\ud800", created=NOW),
        lambda: objects.campaign("", **AUTHOR),
        lambda: objects.campaign("x", created_by=IOC, created=NOW),
        lambda: objects.campaign("x", object_id=IOC, **AUTHOR),
        lambda: objects.campaign("x", first_seen=NOW, last_seen=NOW - timedelta(1), **AUTHOR),
        lambda: objects.campaign("x", first_seen=NAIVE, last_seen=NOW, **AUTHOR),
        lambda: objects.campaign("x", distillation=DistillationCampaign(), **AUTHOR),
        lambda: objects.campaign(
            "x", distillation=DistillationCampaign(targeted_models=[]), **AUTHOR
        ),
        lambda: objects.infrastructure("", **AUTHOR),
        lambda: objects.relationship("x", "indicates", HYDRA, **AUTHOR),
        lambda: objects.relationship(IOC, "indicates", "x", **AUTHOR),
        lambda: objects.relationship(IOC, "", HYDRA, **AUTHOR),
        lambda: objects.relationship(IOC, "Indi cates", HYDRA, **AUTHOR),
        lambda: objects.sighting("x", **SEEN, **AUTHOR),
        lambda: objects.sighting(IOC, count=-1, **SEEN, **AUTHOR),
        lambda: objects.sighting(IOC, count=10**9, **SEEN, **AUTHOR),
        lambda: objects.sighting(IOC, count=True, **SEEN, **AUTHOR),
        lambda: objects.sighting(IOC, confidence=101, **SEEN, **AUTHOR),
        lambda: objects.sighting(IOC, first_seen=NOW, last_seen=NOW - timedelta(1), **AUTHOR),
        lambda: objects.sighting(IOC, where_sighted_refs=[IOC], **SEEN, **AUTHOR),
        lambda: objects.sighting(IOC, observed_data_refs=[THEM], **SEEN, **AUTHOR),
        lambda: objects.opinion("x", "agree", **AUTHOR),
        lambda: objects.note([], "text", **AUTHOR),
        lambda: objects.note([HYDRA], "", **AUTHOR),
        lambda: objects.note(["x"], "text", **AUTHOR),
        lambda: objects.report("x", [], published=NOW, **AUTHOR),
        lambda: objects.report("", [HYDRA], published=NOW, **AUTHOR),
        lambda: objects.report("x", [HYDRA], published=NAIVE, **AUTHOR),
    ],
)
def test_what_would_not_be_valid_is_refused(make: Callable[[], Json]) -> None:
    with pytest.raises(InputError):
        make()


def test_an_opinion_outside_the_vocabulary_is_refused() -> None:
    verdict: Any = "hate"
    with pytest.raises(InputError, match="opinion-enum"):
        objects.opinion(IOC, verdict, **AUTHOR)


def test_a_new_version_keeps_what_it_does_not_change() -> None:
    first = objects.campaign("HYDRA", description="d", objective="o", **AUTHOR)
    before = dict(first)
    second = objects.new_version(first, LATER, description="e", objective=None)
    assert first == before
    assert second == {
        **{name: value for name, value in first.items() if name != "objective"},
        "description": "e",
        "modified": "2026-11-21T09:30:00.000001Z",
    }


def test_unknown_fields_survive_a_new_version() -> None:
    foreign = {**objects.campaign("HYDRA", **AUTHOR), "x_foreign": {"deep": [1, None]}}
    assert objects.new_version(foreign, LATER)["x_foreign"] == {"deep": [1, None]}


def test_a_revoked_object_is_final() -> None:
    gone = objects.revoke(objects.campaign("HYDRA", **AUTHOR), LATER)
    assert gone["revoked"] is True
    with pytest.raises(InputError, match="no further versions"):
        objects.new_version(gone, LATER + timedelta(days=1))


@pytest.mark.parametrize(
    ("modified", "changes"),
    [
        (NOW, {}),
        (NOW - timedelta(days=1), {}),
        (LATER, {"id": HYDRA}),
        (LATER, {"created_by_ref": THEM}),
        (LATER, {"type": "report"}),
        (LATER, {"created": "2020-01-01T00:00:00.000Z"}),
        (LATER, {"name": float("nan")}),
    ],
)
def test_a_version_that_breaks_the_chain_is_refused(
    modified: datetime, changes: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        objects.new_version(objects.campaign("HYDRA", **AUTHOR), modified, **changes)


def test_observables_have_no_versions() -> None:
    with pytest.raises(InputError, match="no versions"):
        objects.revoke({"type": "ipv4-addr", "id": "x", "value": "192.0.2.1"}, NOW)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.datetimes(timezones=st.just(UTC), min_value=datetime.fromisoformat("1970-01-02")),
    st.integers(0, 999_999_999),
)
@settings(max_examples=50, derandomize=True, deadline=None)
def test_whatever_is_built_stix2_accepts(text: str, moment: datetime, count: int) -> None:
    register()
    author: Any = {"created_by": LAB, "created": moment}
    seen: Any = {"first_seen": moment, "last_seen": moment}
    for found in (
        objects.identity(text, created=moment, description=text),
        objects.campaign(text, aliases=[text], objective=text, **seen, **author),
        objects.infrastructure(text, description=text, **seen, **author),
        objects.relationship(IOC, "indicates", HYDRA, description=text, **author),
        objects.sighting(IOC, count=count, description=text, **seen, **author),
        objects.opinion(IOC, "neutral", explanation=text, authors=[text], **author),
        objects.note([IOC], text, abstract=text, **author),
        objects.report(text, [IOC], published=moment, **author),
    ):
        assert stix2.parse(found, allow_custom=False)["id"] == found["id"]


def test_the_typed_controls_of_a_foreign_indicator_are_read_leniently() -> None:
    assert unpack({"type": "indicator"}, IndicatorControls) is None
