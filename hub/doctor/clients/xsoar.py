"""Palo Alto Networks Cortex XSOAR, integration "TAXII 2 Feed", on taxii2-client."""

from __future__ import annotations

from typing import Final

from hub.doctor.profile import (
    Auth,
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

_MODULE: Final = "demisto/content Packs/ApiModules/Scripts/TAXII2ApiModule/TAXII2ApiModule.py"
_FEED: Final = "demisto/content Packs/FeedTAXII/Integrations/FeedTAXII2/FeedTAXII2.py"

PROFILE: Final = Profile(
    name="xsoar",
    title="Cortex XSOAR",
    clients=(
        Client(
            name="feed",
            title="TAXII 2 Feed",
            user_agent="taxii2-client/2.3.0",
            steps=(Step.DISCOVERY, Step.COLLECTIONS, Step.PULL),
            auth=(Auth.BASIC, Auth.TOKEN, Auth.HEADER),
            strict_content_type=True,
            by_title=True,
            paging=Paging(
                limit=100,
                goes_on=GoesOn.MORE,
                without_next=Without.REPEATS,
                carries=frozenset({"limit", "added_after"}),
                cursor=Cursor.MODIFIED,
                form=Form.VERBATIM,
                configurable=True,
                window=True,
                persists=True,
                stops_on_empty=True,
            ),
        ),
    ),
    habits=(
        Habit(
            "discovers, takes the default root or the first, and finds its collection by title",
            f"{_MODULE} (set_api_root, init_collection_to_fetch)",
        ),
        Habit(
            "takes 406 for a TAXII 2.0 server and starts again as one", f"{_MODULE} (init_roots)"
        ),
        Habit(
            "pages with taxii2-client's as_pages, a hundred objects, limit and added_after "
            "beside `next`",
            f"{_MODULE} (poll_collection)",
        ),
        Habit("a page without objects ends the pull", f"{_MODULE} (parse_generator_type_envelope)"),
        Habit(
            "keeps the latest `modified` that it read and sends it as added_after",
            f"{_MODULE} (update_last_modified_indicator_date); {_FEED} (fetch_indicators)",
        ),
        Habit(
            "drops what the poll before brought with the same `modified`",
            f"{_FEED} (filter_previously_fetched_indicators)",
        ),
        Habit(
            "Basic; Token when the user is _api_token_key; a header when it is _header:NAME",
            f"{_MODULE} (Taxii2FeedClient)",
        ),
    ),
)
