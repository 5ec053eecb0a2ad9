"""Elastic's Custom Threat Intelligence integration: a CEL program in Filebeat."""

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

_PACKAGE: Final = "elastic/integrations packages/ti_custom"
_PROGRAM: Final = f"{_PACKAGE}/data_stream/indicator/agent/stream/cel.yml.hbs"

PROFILE: Final = Profile(
    name="elastic",
    title="Elastic Custom Threat Intelligence",
    clients=(
        Client(
            name="agent",
            title="Filebeat CEL input",
            user_agent="Elastic-Filebeat/8.17.0 (linux; amd64)",
            steps=(Step.PULL,),
            auth=(Auth.BEARER, Auth.BASIC),
            sends_content_type=True,
            timeout_s=30.0,
            paging=Paging(
                limit=None,
                goes_on=GoesOn.NEXT,
                without_next=Without.CURSOR,
                carries=frozenset({"limit"}),
                cursor=Cursor.DATE_ADDED_LAST,
                no_header=NoHeader.AGAIN,
                configurable=True,
                window=True,
                persists=True,
                fails_on_empty=True,
            ),
        ),
    ),
    habits=(
        Habit(
            "is given the address of a collection's objects, and asks for nothing else",
            f"{_PACKAGE}/data_stream/indicator/manifest.yml (url)",
        ),
        Habit("cuts the slash off that address and puts /? before the parameters", _PROGRAM),
        Habit(
            "goes on while there is a `next`, whatever `more` says; sends `next` and limit, not "
            "added_after",
            _PROGRAM,
        ),
        Habit(
            "keeps X-TAXII-Date-Added-Last after each page, as it was given; without it reads "
            "now - initial_interval again",
            _PROGRAM,
        ),
        Habit(
            "without an initial_interval it never sends added_after: each poll reads all again",
            _PROGRAM,
        ),
        Habit("takes an answer without `objects` for an error (`body.objects.map`)", _PROGRAM),
        Habit("takes statuses 200 and 206 only; does not look at the Content-Type", _PROGRAM),
        Habit("Bearer with a key, else Basic; a Content-Type on GET, where one is set", _PROGRAM),
        Habit(
            "waits 30 s, follows ten redirects, ends a run after 1,000 pages",
            "elastic.co/docs/reference/beats/filebeat/filebeat-input-cel",
            Basis.DOCUMENTED,
        ),
        Habit(
            "may store an object again; a transform keeps the latest of each id",
            f"{_PACKAGE}/docs/README.md (ILM policy, transform)",
        ),
    ),
)
