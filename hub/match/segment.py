"""What a probe of the indicators finds in a batch of events."""

from __future__ import annotations

from dataclasses import dataclass

from hub.match.columns import Mask
from hub.match.index.buffers import Keys, Rows


@dataclass(frozen=True, slots=True)
class Hits:
    """Events in which formulas hold; one entry a hit.

    Attributes:
        rows: of the batch.
        formula: number of the formula in the index.
        atom: number of the atom that the report names.
    """

    rows: Rows
    formula: Keys
    atom: Keys

    def at(self, chosen: Rows | Keys | Mask) -> Hits:
        """Some of the hits."""
        return Hits(self.rows[chosen], self.formula[chosen], self.atom[chosen])


@dataclass(frozen=True, slots=True)
class LeafHits:
    """Hits of the `[ ]` of patterns that need several observations.

    Attributes:
        watch: number of the pattern among the index's `watches`.
        leaf: which `[ ]` of it, in reading order.
    """

    hits: Hits
    watch: Keys
    leaf: Keys


@dataclass(frozen=True, slots=True)
class FormulaInfo:
    """Whose a formula is: the indicator's row, and which leaf of which watch (-1: none)."""

    indicator: int
    leaf: int
    watch: int
