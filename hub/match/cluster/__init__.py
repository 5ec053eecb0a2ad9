"""Hydra clusters: accounts of one operator, found by what they share and how they behave."""

from hub.match.cluster.detect import Cluster, ClusterDetector, Clusters, Finding
from hub.match.cluster.parameters import Parameters

__all__ = ["Cluster", "ClusterDetector", "Clusters", "Finding", "Parameters"]
