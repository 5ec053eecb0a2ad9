"""Microsoft Sentinel, data connector "Threat intelligence - TAXII". Its code is closed."""

from __future__ import annotations

from typing import Final

from hub.doctor.profile import (
    Auth,
    Basis,
    Client,
    Cursor,
    GoesOn,
    Habit,
    NoHeader,
    Paging,
    Profile,
    Step,
    Without,
)

_GUIDE: Final = (
    "MicrosoftDocs/azure-docs articles/sentinel/connect-threat-intelligence-taxii.md; "
    "learn.microsoft.com/azure/sentinel/connect-threat-intelligence-taxii"
)

PROFILE: Final = Profile(
    name="sentinel",
    title="Microsoft Sentinel",
    clients=(
        Client(
            name="connector",
            title="TAXII data connector",
            user_agent="Microsoft-Sentinel-TAXII",
            steps=(Step.API_ROOT, Step.COLLECTION, Step.PULL),
            auth=(Auth.BASIC,),
            timeout_s=100.0,
            uuid_only=True,
            paging=Paging(
                limit=None,
                goes_on=GoesOn.MORE,
                without_next=Without.CURSOR,
                carries=frozenset({"added_after"}),
                cursor=Cursor.DATE_ADDED_LAST,
                no_header=NoHeader.NOW,
                window=True,
                persists=True,
            ),
        ),
    ),
    habits=(
        Habit(
            "is given an API root and a collection id, not a discovery address",
            _GUIDE,
            Basis.DOCUMENTED,
        ),
        Habit("sends user name and password, or nothing", _GUIDE, Basis.DOCUMENTED),
        Habit(
            "cannot send a bearer token",
            "github.com/OpenCTI-Platform/opencti/issues/2102",
            Basis.DOCUMENTED,
        ),
        Habit(
            "polls once a minute, an hour or a day; comes from a list of published addresses",
            f"{_GUIDE}; Azure SDK, KnownPollingFrequency",
            Basis.DOCUMENTED,
        ),
        Habit(
            'refuses collection ids with "Taxii collectionId (uuidv4) is not valid"',
            "github.com/Azure/Azure-Sentinel/issues/11202 (a feed with another form is said to "
            "work: docs.ellio.tech/threat-intel/integrations/microsoft-sentinel-taxii)",
            Basis.DOCUMENTED,
        ),
        Habit(
            "polls on with added_after",
            "docs.ellio.tech/threat-intel/integrations/microsoft-sentinel-taxii",
            Basis.DOCUMENTED,
        ),
        Habit(
            "pages with `next` beside added_after, sends no limit, keeps "
            "X-TAXII-Date-Added-Last, waits 100 s (the .NET default)",
            "TAXII 2.1, section 3.4 and 3.5",
            Basis.ASSUMED,
        ),
    ),
)
