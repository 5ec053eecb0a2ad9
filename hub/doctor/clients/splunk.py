"""Splunk Enterprise Security: its threat intelligence framework, and Splunk's app that reports."""

from __future__ import annotations

from typing import Final

from hub.doctor.profile import (
    Auth,
    Basis,
    Client,
    Cursor,
    Form,
    GoesOn,
    Habit,
    Paging,
    Profile,
    Step,
    Without,
)

_LANTERN: Final = (
    "lantern.splunk.com Integrating_with_the_ASD_CTIS (Overview, ES_Ingestion_Configuration)"
)
_APP: Final = "splunk/ctis-taxii-splunk-app TA_CTIS_TAXII/package/bin"
_AGENT: Final = "taxii2-client/2.3.0"

PROFILE: Final = Profile(
    name="splunk",
    title="Splunk Enterprise Security",
    clients=(
        Client(
            name="framework",
            title="threat intelligence framework",
            user_agent=_AGENT,
            steps=(Step.API_ROOT, Step.COLLECTIONS, Step.PULL),
            auth=(Auth.BASIC,),
            strict_content_type=True,
            https_only=True,
            paging=Paging(
                limit=100,
                goes_on=GoesOn.MORE,
                without_next=Without.REPEATS,
                carries=frozenset({"limit", "added_after"}),
                cursor=Cursor.CLOCK,
                form=Form.MICROSECONDS,
                configurable=True,
                window=True,
            ),
        ),
        Client(
            name="reporting",
            title="CTIS reporting app",
            user_agent=_AGENT,
            steps=(Step.COLLECTIONS, Step.WRITE),
            auth=(Auth.BASIC,),
            strict_content_type=True,
        ),
    ),
    habits=(
        Habit(
            "takes TAXII 2.1 from release 8.2 on; one feed for each collection; user name and "
            "password from the credential store",
            _LANTERN,
            Basis.DOCUMENTED,
        ),
        Habit(
            "on Splunk Cloud, an http address is blocked",
            "docs.splunk.com/Documentation/ES/7.2.0/Admin/Downloadthreatfeed",
            Basis.DOCUMENTED,
        ),
        Habit(
            "the framework reads as taxii2-client does, a hundred objects a page, and polls on "
            "from its own clock",
            "the code is closed; Splunk's open app uses taxii2-client",
            Basis.ASSUMED,
        ),
        Habit(
            "the reporting app lists collections and posts with taxii2-client's ApiRoot and "
            "Collection",
            f"{_APP}/rest_list_taxii_collections.py, rest_submit_grouping.py",
        ),
    ),
)
