"""Why accounts hang together: the nodes that they share, by kind, masked unless asked."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.match.cluster.collect import Collected
from hub.match.cluster.layers import Layer, Traffic
from hub.match.cluster.profile import Profile
from hub.match.cluster.refine import Group

_EGRESS: Final = ("address", "network", "asn")
_PROMPT: Final = ("template", "first words", "last words", "word run")
_CLIENT: Final = ("client", "user agent", "TLS fingerprint")
_SHOWN: Final = 8
_EPSILON: Final = 1e-3


@dataclass(frozen=True)
class Edge:
    """Nodes of one kind that a cluster's accounts share.

    Attributes:
        layer, kind: such as network, address.
        nodes: how many nodes of this kind at least two of its accounts share.
        accounts: how many of its accounts show the most telling of them, and `outside` how many
            others do.
        weight: log-likelihood ratio of an exchange with that node.
        value: that node, masked.
    """

    layer: str
    kind: str
    nodes: int
    accounts: int
    outside: int
    weight: float
    value: str


def edges(group: Group, traffic: Traffic, *, show_values: bool = False) -> list[Edge]:
    """The cluster's edges, the weightiest kind of each layer first."""
    found: list[Edge] = []
    profiles = group.profiles
    for layer, kinds, nodes, profile in (
        ("account", (), traffic.identity, profiles.identity),
        ("network", _EGRESS, traffic.egress, profiles.egress),
        ("prompt", _PROMPT, traffic.prompt, profiles.prompt),
        ("network", _CLIENT, traffic.client, profiles.client),
    ):
        found += _of_layer(layer, kinds, nodes, profile, traffic.collected, show_values)
    return found


def _of_layer(
    layer: str,
    kinds: tuple[str, ...],
    nodes: Layer,
    profile: Profile,
    collected: Collected,
    show_values: bool,
) -> list[Edge]:
    shared = profile.accounts >= 2
    if kinds:
        shared &= profile.gain + profile.base > 0
    chosen = profile.nodes[shared]
    names: list[str]
    if kinds:
        names = [kinds[min(k, len(kinds) - 1)] for k in nodes.kind[chosen].tolist()]
    else:
        tokens = nodes.values[chosen].astype(np.int64) - 1
        names = [collected.token_names[k].partition(":")[0] for k in tokens.tolist()]
    found: list[Edge] = []
    where = np.flatnonzero(shared)
    for name in dict.fromkeys(names):
        of_kind = where[[one == name for one in names]]
        telling = profile.accounts[of_kind] * (profile.gain[of_kind] + profile.base + _EPSILON)
        best = of_kind[int(np.argmax(telling))]
        text = _text(name, int(nodes.values[profile.nodes[best]]), collected, show_values)
        found.append(
            Edge(
                layer,
                name,
                len(of_kind),
                int(profile.accounts[best]),
                int(profile.outside[best]),
                round(float(profile.gain[best] + profile.base), 2),
                text,
            )
        )
    return sorted(found, key=lambda e: (-e.accounts, -e.weight, e.kind))


def _text(kind: str, value: int, collected: Collected, show_values: bool) -> str:
    """What a node stands for: networks, shapes and beginnings, unless values may be shown."""
    if kind in ("address", "network"):
        return _address(kind, value, show_values)
    if kind == "asn":
        return f"AS{value - 1}"
    if kind in _PROMPT:
        return f"{value:08x}"
    if kind == "client":
        agent = collected.agents[(value >> 32) - 1]
        return _agent(agent, show_values) + " + " + collected.hellos[(value & 0xFFFFFFFF) - 1][:40]
    if kind == "user agent":
        return _agent(collected.agents[value - 1], show_values)
    if kind == "TLS fingerprint":
        return collected.hellos[value - 1][:40]
    _, _, digest = collected.token_names[value - 1].rpartition(":")
    return f"{digest[:_SHOWN]}…"


def _agent(text: str, show_values: bool) -> str:
    return text[:80] if show_values else text.split(" ")[0][:24]


def _address(kind: str, value: int, show_values: bool) -> str:
    if kind == "network":
        if value >> 24 == 0xFFFF:
            return f"{ipaddress.IPv4Address((value & 0xFFFFFF) << 8)}/24"
        return f"{ipaddress.IPv6Address(value << 80)}/48"
    if value >> 32 == 0xFFFF:
        four = value & 0xFFFFFFFF
        if show_values:
            return str(ipaddress.IPv4Address(four))
        return f"{ipaddress.IPv4Address(four & 0xFFFFFF00)}/24"
    return (
        f"{ipaddress.IPv6Address(value << 64)}/64"
        if show_values
        else (f"{ipaddress.IPv6Address(value >> 16 << 80)}/48")
    )
