"""OpenCTI: the TAXII feeds of the platform, and the connector `taxii2`."""

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
    NoHeader,
    Paging,
    Profile,
    Step,
    Without,
)

_MANAGER: Final = (
    "OpenCTI-Platform/opencti opencti-platform/opencti-graphql/src/manager/ingestionManager.ts"
)
_CONNECTOR: Final = "OpenCTI-Platform/connectors external-import/taxii2/src/connector"

PROFILE: Final = Profile(
    name="opencti",
    title="OpenCTI",
    clients=(
        Client(
            name="feed",
            title="TAXII feed of the platform",
            user_agent="axios/1.7.9",
            steps=(Step.PULL,),
            auth=(Auth.BEARER, Auth.BASIC),
            timeout_s=30.0,
            paging=Paging(
                limit=None,
                goes_on=GoesOn.BOTH,
                without_next=Without.CURSOR,
                carries=frozenset({"limit", "added_after"}),
                cursor=Cursor.DATE_ADDED_LAST,
                form=Form.MILLISECONDS,
                no_header=NoHeader.NOW,
                configurable=True,
                window=True,
                stops_on_empty=True,
            ),
        ),
        Client(
            name="connector",
            title="connector taxii2",
            user_agent="taxii2-client/2.3.0",
            steps=(Step.DISCOVERY, Step.COLLECTIONS, Step.PULL),
            auth=(Auth.TOKEN, Auth.BASIC, Auth.HEADER),
            strict_content_type=True,
            by_title=True,
            dotted=True,
            assumes_21=False,
            paging=Paging(
                limit=None,
                goes_on=GoesOn.MORE,
                without_next=Without.HANGS,
                carries=frozenset({"limit"}),
                cursor=Cursor.CLOCK,
                form=Form.MICROSECONDS,
                configurable=True,
                window=True,
                keeps_next=True,
            ),
        ),
    ),
    habits=(
        Habit(
            "the feed asks <root>/collections/<id>/objects/ at once, with `next` and added_after "
            "together",
            f"{_MANAGER} (taxiiHttpGet, prepareTaxiiGetParam)",
        ),
        Habit(
            "the feed follows `next` only while `more` is true; else it takes the cursor from "
            "X-TAXII-Date-Added-Last, cut to milliseconds",
            f"{_MANAGER} (processTaxiiResponse)",
        ),
        Habit(
            "without that header the feed goes on from now: what it has not read is lost",
            f"{_MANAGER} (addedLastHeader ? … : now())",
        ),
        Habit(
            "a page without objects resets the feed's `next`, even when `more` is true",
            f"{_MANAGER} (processTaxiiResponse)",
        ),
        Habit(
            "the feed sends Basic or Bearer, waits 30 s, and checks certificates only when told",
            f"{_MANAGER} (buildTaxiiHttpClientOptions)",
        ),
        Habit(
            "an object that comes again is merged by its standard id",
            "docs.opencti.io/latest/usage/deduplication",
            Basis.DOCUMENTED,
        ),
        Habit(
            "the connector discovers roots, finds its collection by title, and splits "
            "root.title at dots",
            f"{_CONNECTOR}/client_taxii.py, connector.py",
        ),
        Habit(
            "the connector drops added_after beside `next`, and sends the last `next` of a pull "
            "again with its next poll",
            f"{_CONNECTOR}/client_taxii.py (poll, filters)",
        ),
        Habit(
            "the connector polls on from its own clock, in whole seconds",
            f"{_CONNECTOR}/connector.py (last_run)",
        ),
        Habit(
            "the connector spins for ever when `more` comes without `next`",
            f"{_CONNECTOR}/client_taxii.py (poll)",
        ),
        Habit(
            "objects without spec_version are read as TAXII 2.0, over the manifest",
            f"{_CONNECTOR}/client_taxii.py (poll)",
        ),
        Habit(
            "the connector sends Token, Basic, or a header of any name", f"{_CONNECTOR}/settings.py"
        ),
    ),
)
