"""MISP: its TAXII server view, which reads, and its push script."""

from __future__ import annotations

from typing import Final

from hub.doctor.profile import (
    Auth,
    Basis,
    Client,
    GoesOn,
    Habit,
    Paging,
    Profile,
    Step,
    Without,
)

_MODEL: Final = "MISP/MISP app/Model/TaxiiServer.php"
_PUSH: Final = "MISP/MISP app/files/scripts/taxii/taxii_push.py"

PROFILE: Final = Profile(
    name="misp",
    title="MISP",
    clients=(
        Client(
            name="view",
            title="TAXII server view",
            user_agent="CakePHP",
            steps=(Step.COLLECTIONS, Step.PULL),
            auth=(Auth.LOWER_BASIC,),
            sends_content_type=True,
            timeout_s=30.0,
            follows_redirects=False,
            paging=Paging(
                limit=50,
                goes_on=GoesOn.BOTH,
                without_next=Without.STOPS,
                carries=frozenset({"limit"}),
                fails_on_empty=True,
            ),
        ),
        Client(
            name="push",
            title="taxii_push.py",
            user_agent="taxii2-client/2.3.0",
            steps=(Step.API_ROOT, Step.COLLECTION, Step.WRITE),
            auth=(Auth.BASIC,),
            splits_secret=True,
            strict_content_type=True,
        ),
    ),
    habits=(
        Habit(
            "sends `Authorization: basic` and the stored value, which is Base64 of user:password",
            f"{_MODEL} (queryInstance)",
        ),
        Habit("sends Accept and Content-type of TAXII 2.1 on GET too", f"{_MODEL} (queryInstance)"),
        Habit(
            "reads fifty objects a page with `next`; no added_after, no cursor",
            f"{_MODEL} (getObjects)",
        ),
        Habit(
            "an answer without collections, or without objects, is an error",
            f"{_MODEL} (getCollections, getObjects)",
        ),
        Habit(
            "does not follow redirects, waits 30 s",
            "CakePHP 2 HttpSocket defaults (redirect false, timeout 30)",
            Basis.DOCUMENTED,
        ),
        Habit(
            "the push script reads max_content_length, cuts envelopes to it, drops an object that "
            "is greater, and posts with taxii2-client without waiting for the status",
            f"{_PUSH} (make_taxii_envelopes, push_taxii_envelope)",
        ),
        Habit(
            "the push script splits the stored value at each colon: a password with one fails",
            f"{_PUSH} (parse_auth)",
        ),
    ),
)
