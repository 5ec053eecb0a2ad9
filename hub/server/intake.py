"""From a posted envelope to objects that may be stored, and what to tell about the others.

Two layers. The envelope must be strict I-JSON (RFC 7493): one duplicate key, NaN or lone surrogate
anywhere refuses the whole request, because two readers could read it differently. Each object must
then be one that the store can page, so that no object spoils later reads of its collection; an
object that is not is reported as a failure of its own, and the others are stored.

Source: TAXII 2.1, sections 3.7 (envelope), 4.3 (status) and 5.5 (add objects).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub.errors import InputError
from hub.model import codec
from hub.server.refusals import TooLargeError, UnprocessableError
from hub.settings import HubLimits
from hub.store.objects import new_object
from hub.store.records import Appended, NewObject, Outcome
from hub.taxii.times import to_micros
from hub.taxii.wire import Status, StatusDetails, split_envelope

_TYPE: Final = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){1,248}[a-z0-9]")
_MAX_ECHO: Final = 256
_CONFLICT: Final = "another body of this version is stored already; the first one stays"


@dataclass(frozen=True, slots=True)
class Intake:
    """A posted envelope, taken apart.

    Args:
        items: the objects that can be stored, in order.
        failures: the others.
    """

    items: Sequence[NewObject]
    failures: Sequence[StatusDetails]

    @property
    def total(self) -> int:
        """Number of objects in the envelope."""
        return len(self.items) + len(self.failures)


def take_apart(body: bytes, limits: HubLimits, *, received: str) -> Intake:
    """Read a posted envelope.

    Args:
        body: the request's body, decompressed.
        limits: caps on depth and size.
        received: when the request came, as a STIX timestamp; stands for the version of objects
            that name none.
    Raises:
        InputError: not strict I-JSON.
        TooLargeError: more values than the cap.
        UnprocessableError: JSON, but no envelope with objects.
    """
    _check_values(body, limits.json_values)
    envelope = codec.loads(
        body, where="body", max_bytes=limits.content_length, max_depth=limits.json_depth
    )
    objects = envelope.get("objects")
    if not isinstance(objects, list) or not objects:
        raise UnprocessableError(
            "an envelope holds at least one object", where="objects", hint='{"objects": [{...}]}'
        )
    if not all(isinstance(obj, dict) for obj in objects):
        raise UnprocessableError("an envelope holds nothing but objects", where="objects")
    try:
        raws = split_envelope(body, max_objects=limits.envelope_objects)
    except InputError as error:
        raise UnprocessableError(error.message, where=error.where, hint=error.hint) from error
    items: list[NewObject] = []
    failures: list[StatusDetails] = []
    for obj, raw in zip(objects, raws, strict=True):
        try:
            check_object(obj)
            items.append(new_object(obj, bytes(raw)))
        except InputError as error:
            failures.append(_failure(obj, str(error), received))
    return Intake(items, failures)


def _check_values(body: bytes, most: int) -> None:
    # Counted before a single one is made: 8 MiB of empty objects are 450 MB of memory.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > most:
        raise TooLargeError(
            f"a body may hold {most} values",
            where="body",
            hint="send fewer objects in one envelope",
        )


def check_object(obj: dict[str, Any]) -> None:
    """Check what `new_object`, which looks at nothing that paging does not need, leaves open.

    Raises:
        InputError: a type or time that STIX 2.1 (sections 2.7 and 3.2) excludes, or a bundle.
    """
    object_type = obj.get("type")
    if not isinstance(object_type, str) or not _TYPE.fullmatch(object_type):
        raise InputError("not a STIX type name", where="type")
    if object_type == "bundle":
        raise InputError("an envelope holds objects, not bundles", where="type")
    if "modified" in obj:
        # The version itself is checked where it is read; this is the other one.
        created = obj.get("created")
        if not isinstance(created, str):
            raise InputError("an object with modified has created too", where="created")
        to_micros(created, where="created")


def report(
    status_id: str,
    received: str,
    intake: Intake,
    appended: Sequence[Appended],
    refused: dict[int, str],
) -> Status:
    """The status resource of a post whose objects have been dealt with.

    Args:
        status_id: its id.
        received: when the request came, as a STIX timestamp.
        intake: what was posted.
        appended: fates of the items that were let through, in order.
        refused: index into `intake.items` -> reason, of those that were not.
    """
    successes: list[StatusDetails] = []
    failures = list(intake.failures)
    for index, reason in refused.items():
        item = intake.items[index]
        failures.append(StatusDetails(item.id, item.version or received, reason))
    for fate in appended:
        if fate.outcome is Outcome.CONFLICT:
            failures.append(StatusDetails(fate.id, fate.version, _CONFLICT))
        else:
            successes.append(StatusDetails(fate.id, fate.version))
    return Status(
        id=status_id,
        status="complete",
        total_count=intake.total,
        success_count=len(successes),
        failure_count=len(failures),
        pending_count=0,
        request_timestamp=received,
        successes=successes or None,
        failures=failures or None,
    )


def _failure(obj: dict[str, Any], reason: str, received: str) -> StatusDetails:
    named = obj.get("id")
    versions = (obj.get("modified"), obj.get("created"), received)
    version = next(text for text in versions if isinstance(text, str))
    return StatusDetails(
        id=named[:_MAX_ECHO] if isinstance(named, str) and named else "unknown",
        version=version[:_MAX_ECHO],
        message=reason,
    )
