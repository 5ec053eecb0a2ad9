"""The clients that the doctor can replay, by the name that `--as` takes."""

from __future__ import annotations

from typing import Final

from hub.doctor.clients import elastic, misp, opencti, sentinel, splunk, taxii2_client, xsoar
from hub.doctor.profile import Profile

PROFILES: Final[dict[str, Profile]] = {
    module.PROFILE.name: module.PROFILE
    for module in (sentinel, splunk, elastic, opencti, misp, xsoar, taxii2_client)
}
