"""Hydra clusters: accounts of one operator, found by what they share and how they behave."""

from hub.match.cluster.detect import Cluster, ClusterDetector, Clusters, Finding, Reduced
from hub.match.cluster.parameters import Parameters
from hub.match.cluster.windows import WindowPattern, matching

__all__ = [
    "Cluster",
    "ClusterDetector",
    "Clusters",
    "Finding",
    "Parameters",
    "Reduced",
    "WindowPattern",
    "matching",
]
