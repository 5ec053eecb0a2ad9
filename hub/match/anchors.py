"""Which atoms of a formula an index can look for, and what no index should.

Of each formula a few *anchor* atoms are chosen such that the formula can hold only where one of
them does. A prefix that holds a good part of the internet, an empty value and a search for nothing
are no anchors: a formula that rests on them alone describes nearly every event and is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from hub.match.compare import network
from hub.match.plan import Atom, Both, Either, Kind, Node
from hub.match.schema import STORED_FEATURES
from hub.match.syntax import Operator

SHORTEST_V4: Final = 8
"""Bits of the shortest IPv4 prefix that is looked for."""
SHORTEST_V6: Final = 16
"""The same for IPv6."""

_COMMON_COLUMNS: Final = frozenset(
    {"provider_name", "request_model", "capability_focus", "email_domain_class"}
)


def answerable(node: Node, atoms: list[Atom], columns: Collection[str]) -> bool:
    """Tell whether the formula can hold on a source that fills only `columns`."""
    match node:
        case int():
            field = atoms[node].field
            stored = STORED_FEATURES[field.derived].name if field.derived else field.column
            return field.column in columns or stored in columns
        case Both(operands):
            return all(answerable(operand, atoms, columns) for operand in operands)
        case Either(operands):
            return any(answerable(operand, atoms, columns) for operand in operands)


def anchors(node: Node, atoms: list[Atom]) -> tuple[int, frozenset[int]] | None:
    """Choose indexable atoms of which one must hold wherever the formula does.

    Returns:
        Their cost (the less, the more selective) and the atoms; None if there are none.
    """
    match node:
        case int():
            cost = _cost(atoms[node])
            return None if cost is None else (cost, frozenset({node}))
        case Both(operands):
            found = [anchors(operand, atoms) for operand in operands]
            return min((one for one in found if one), key=lambda one: one[0], default=None)
        case Either(operands):
            found = [anchors(operand, atoms) for operand in operands]
            known = [one for one in found if one]
            if len(known) < len(found):
                return None
            return max(cost for cost, _ in known), frozenset().union(*(a for _, a in known))


def is_sure(node: Node) -> bool:
    """Tell whether a hit on any anchor proves the formula."""
    return isinstance(node, int) or (
        isinstance(node, Either) and all(is_sure(operand) for operand in node.operands)
    )


def floods(node: Node, atoms: list[Atom]) -> bool:
    """Tell whether a formula rests on tests alone that nearly every event, or none, passes."""
    match node:
        case int():
            return _is_blunt(atoms[node])
        case Both(operands):
            return all(floods(operand, atoms) for operand in operands)
        case Either(operands):
            return any(floods(operand, atoms) for operand in operands)


def _is_blunt(atom: Atom) -> bool:
    comparison = atom.comparison
    if comparison.negated:
        return False
    match comparison.operator:
        case Operator.ISSUBSET:
            return is_wide(str(comparison.values[0]))
        case Operator.LIKE:
            return not str(comparison.values[0]).strip("%")
        case Operator.MATCHES:
            return not comparison.values[0]
        case Operator.EQ | Operator.IN:
            return "" in comparison.values
        case _:
            return False


def is_wide(literal: str) -> bool:
    """Tell whether a prefix is shorter than any that is looked for."""
    block = network(literal)
    shortest = SHORTEST_V4 if block is not None and block.version == 4 else SHORTEST_V6
    return block is not None and block.prefixlen < shortest


def _cost(atom: Atom) -> int | None:
    comparison, kind = atom.comparison, atom.field.kind
    if comparison.negated or _is_blunt(atom):
        return None
    if comparison.operator in {Operator.LIKE, Operator.MATCHES}:
        return 5 if kind in {Kind.TEXT, Kind.TEXTS} else None
    if comparison.operator is Operator.ISSUBSET:
        return 2 if kind is Kind.ADDRESS else None
    if comparison.operator not in {Operator.EQ, Operator.IN}:
        return None
    wanted = (int, float) if kind is Kind.NUMBER else (str,)
    typed = all(isinstance(v, wanted) and not isinstance(v, bool) for v in comparison.values)
    if kind is Kind.TIME or not typed:
        return None
    return 4 if atom.field.column in _COMMON_COLUMNS else 1
