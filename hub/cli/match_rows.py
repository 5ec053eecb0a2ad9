"""Match tables, cut and counted for the report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

NO_CAMPAIGN: Final = ""


def by_campaign(matches: pa.Table) -> pa.Table:
    """One row per (match, campaign); a match without a campaign keeps one row."""
    table = matches.combine_chunks()
    campaigns = table["campaign_ids"].combine_chunks()
    if isinstance(campaigns, pa.ChunkedArray):
        campaigns = pa.concat_arrays(campaigns.chunks)
    parents = pc.list_parent_indices(campaigns)
    bare = pc.indices_nonzero(pc.equal(pc.fill_null(pc.list_value_length(campaigns), 0), 0))
    rows = pa.concat_arrays([parents.cast(pa.int64()), bare.cast(pa.int64())])
    names = pa.concat_arrays(
        [
            pc.list_flatten(campaigns).cast(pa.string()),
            pa.array([NO_CAMPAIGN] * len(bare), pa.string()),
        ]
    )
    return table.drop_columns(["campaign_ids"]).take(rows).append_column("campaign", names)


def grouped(flat: pa.Table, keys: list[str]) -> list[dict[str, Any]]:
    """Exchanges, and their first and last time, by some columns."""
    found = flat.group_by(keys).aggregate(
        [("event_id", "count_distinct"), ("observed_at", "min"), ("observed_at", "max")]
    )
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def span_of(row: Mapping[str, Any]) -> tuple[int, datetime, datetime]:
    """What `grouped` counted, as `Span.add` takes it."""
    return row["event_id_count_distinct"], row["observed_at_min"], row["observed_at_max"]
