"""OASIS's own library, taxii2-client, which many products use: the real one is run."""

from __future__ import annotations

from typing import Final

from hub.doctor.profile import Auth, Client, Habit, Profile, Step

_COMMON: Final = "oasis-open/cti-taxii-client taxii2client/common.py"
_V21: Final = "oasis-open/cti-taxii-client taxii2client/v21/__init__.py"

PROFILE: Final = Profile(
    name="taxii2-client",
    title="taxii2-client",
    clients=(
        Client(
            name="library",
            title="release 2.3",
            user_agent="taxii2-client/2.3.0",
            steps=(Step.LIBRARY, Step.WRITE),
            auth=(Auth.BASIC, Auth.TOKEN, Auth.HEADER),
            strict_content_type=True,
        ),
    ),
    habits=(
        Habit(
            "wants application/taxii+json and version=2.1, unquoted, in each Content-Type",
            f"{_COMMON} (valid_content_type)",
        ),
        Habit("has no time-out", f"{_COMMON} (_HTTPConnection.get)"),
        Habit("adds a slash to each address", f"{_COMMON} (_TAXIIEndpoint)"),
        Habit(
            "goes on while `more` is true; without `next` it asks for the first page again",
            f"{_V21} (as_pages); {_COMMON} (_filter_kwargs_to_query_params)",
        ),
        Habit(
            "takes what the first page held for the limit when it held less than asked for",
            f"{_V21} (as_pages)",
        ),
        Habit("wants the counts of a status to add up", f"{_V21} (Status._validate_status)"),
    ),
)
