"""The registered extensions: ids, fields, units."""

from __future__ import annotations

from typing import Final

LLM_EXCHANGE: Final = "extension-definition--e96cfc02-1198-5787-ac47-630faaac84ac"
LLM_ACCOUNT: Final = "extension-definition--509b69b0-5e74-5443-a941-a12fce0f875a"
NET_FINGERPRINT: Final = "extension-definition--bc991303-941f-5bb4-bd8e-b01d033e816e"
DISTILLATION_CAMPAIGN: Final = "extension-definition--5d9e42ef-e8ac-55ef-9a64-2464e8614193"
INDICATOR_CONTROLS: Final = "extension-definition--dabc22b3-31a3-588c-9e46-10c69646e84d"
EVIDENCE: Final = "extension-definition--1dfabf24-395e-57df-a67f-391aa125b6e3"
