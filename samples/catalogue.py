"""Write the catalogue of indicators: samples, pattern vectors, extension definitions.

    python samples/catalogue.py [FOLDER]

writes, below the repository or FOLDER, `samples/indicators/<kind>.json` (a valid bundle: the
indicator, what it indicates, the definitions that it needs), `tests/vectors/patterns/<kind>.json`
(the pattern, bundles that it must match, near misses that it must not) and
`schemas/extensions/<name>.json`. Running it again changes nothing; a test does so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from catalogue_cases import Case, cases
from catalogue_observations import CREATED, LAB

from hub.model.bundle import bundle
from hub.model.codec import Json
from hub.model.extension import AUTHOR, definitions
from hub.model.fields import Attribution, CountRange, DistillationCampaign
from hub.model.kinds import KINDS
from hub.model.markings import TLP, marking_definitions
from hub.model.objects import campaign, identity, indicator, relationship

VALID: Final = timedelta(days=30)


def campaign_objects() -> list[Json]:
    """The fictional lab and the campaign that every sample indicates."""
    hydra = campaign(
        "EXAMPLE-HYDRA-01",
        description="Fictional: accounts behind a relay collect agentic coding traces.",
        objective="Collect agentic coding traces for training a student model",
        distillation=DistillationCampaign(
            account_count=CountRange.around(3100, method="shared payment and template"),
            exchange_count=CountRange.around(1_500_000, method="server logs"),
            targeted_models=["example-frontier-4"],
            targeted_capabilities=["agentic-reasoning", "coding"],
            release_pivot_hours=19.5,
            mixed_benign_traffic=True,
            attribution=Attribution(
                level="suspected",
                basis=["infrastructure", "payment", "partner-corroboration"],
                independent_sources=2,
                dissent="No link to a named developer; the reseller may be unwitting.",
            ),
        ),
        created_by=LAB,
        created=CREATED,
    )
    lab = identity("Example Frontier Lab", created=CREATED, identity_id=LAB, sectors=["technology"])
    return [lab, hydra]


def sample(kind: str, pattern: str) -> Json:
    """The bundle that documents one kind."""
    info = KINDS[kind]
    lab, hydra = campaign_objects()
    described = indicator(
        kind,
        pattern,
        name=f"Example of {kind}",
        description=(
            f"{info.describes} Base rate in honest traffic: {info.base_rate}. {info.caution} "
            f"Privacy form: {info.privacy_form}. Fictional example."
        ),
        created_by=LAB,
        created=CREATED,
        valid_from=CREATED,
        valid_until=CREATED + VALID,
        confidence=70,
    )
    indicates = relationship(
        described["id"], "indicates", hydra["id"], created_by=LAB, created=CREATED
    )
    marks = [m for m in marking_definitions() if m["id"] in (TLP.CLEAR.id, TLP.AMBER.id)]
    text = json.dumps([described, hydra])
    needed = [d for d in definitions() if d["id"] == AUTHOR or d["id"] in text]
    return bundle([*marks, *needed, lab, described, hydra, indicates])


def files() -> Iterator[tuple[str, Json]]:
    """Path below the repository and content of every generated file."""
    for kind, found in cases().items():
        yield f"samples/indicators/{kind}.json", sample(kind, found.pattern)
        yield f"tests/vectors/patterns/{kind}.json", vector(found)
    for definition in definitions():
        if definition["id"] != AUTHOR:
            yield f"schemas/extensions/{definition['name']}.json", definition


def vector(found: Case) -> Json:
    """The oracle's input for one pattern."""
    return {"pattern": found.pattern, "positive": found.positive, "negative": found.negative}


def main(folder: Path) -> None:
    """Write all files below `folder`."""
    for name, content in files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
