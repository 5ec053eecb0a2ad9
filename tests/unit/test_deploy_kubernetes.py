"""The shipped manifests against Kubernetes' own schemas, and against what the program takes.

No cluster and no engine runs them here: what an API server adds to the schemas (references between
objects, admission) is checked as far as the tests below go.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from hub.cli.hub_limits import VARIABLES
from hub.cli.main import cli
from hub.settings import HubLimits
from tests.unit.test_deploy import DEPLOY, check_call

VERSION = "1.34"
MARGIN = 15
"""Seconds that the supervisor gives a process beyond draining and shutting down."""
Manifest = dict[str, Any]


def manifests() -> list[Manifest]:
    return [
        document
        for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


def named(kind: str) -> list[Manifest]:
    return [one for one in manifests() if one["kind"] == kind]


def pods(documents: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """(kind, pod template) of everything that runs."""
    for one in documents:
        if one["kind"] in ("Deployment", "Job"):
            yield one["kind"], one["spec"]["template"]
        elif one["kind"] == "CronJob":
            yield one["kind"], one["spec"]["jobTemplate"]["spec"]["template"]


def restricted(template: Manifest) -> list[str]:
    """What keeps a pod out of a namespace that enforces the pod security standard `restricted`."""
    spec: Manifest = template["spec"]
    faults: list[str] = []
    pod = spec.get("securityContext", {})
    faults += [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    allowed = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}
    faults += [
        f"volume {volume['name']}"
        for volume in spec.get("volumes", [])
        if not set(volume) - {"name"} <= allowed
    ]
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        own = container.get("securityContext", {})
        both = {**pod, **own}
        checks = {
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser", 0) != 0,
            "seccomp": both.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "escalation": own.get("allowPrivilegeEscalation") is False,
            "privileged": not own.get("privileged", False),
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            # Ours beyond the standard.
            "read-only root": own.get("readOnlyRootFilesystem") is True,
            "resources": {"requests", "limits"} <= set(container.get("resources", {})),
        }
        faults += [f"{container['name']}: {name}" for name, good in checks.items() if not good]
    return faults


@pytest.mark.parametrize(
    "manifest", manifests(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_manifests_are_valid(manifest: Manifest) -> None:
    assert kubernetes_validate.validate(manifest, VERSION, strict=True) == VERSION


def test_the_validator_notices_a_mistake() -> None:
    broken = copy.deepcopy(named("Deployment")[0])
    broken["spec"]["template"]["spec"]["containers"][0]["redinessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSION, strict=True)


def test_pods_are_admitted_under_the_restricted_standard() -> None:
    (namespace,) = named("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    found = list(pods(manifests()))
    assert sorted(kind for kind, _ in found) == ["CronJob", "Deployment", "Job"]
    for kind, template in found:
        assert restricted(template) == [], kind
        assert template["spec"]["automountServiceAccountToken"] is False
        assert (
            template["spec"]["serviceAccountName"] == named("ServiceAccount")[0]["metadata"]["name"]
        )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("securityContext", "runAsUser"), 0),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}),
        (("hostNetwork",), True),
        (("containers", 0, "securityContext", "readOnlyRootFilesystem"), False),
        (("containers", 0, "resources"), {}),
    ],
)
def test_the_check_of_pods_notices(path: tuple[str | int, ...], value: object) -> None:
    template = copy.deepcopy(named("Deployment")[0]["spec"]["template"])
    place: Any = template["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert restricted(template)


def test_everything_stands_in_the_namespace_and_holds_no_secret() -> None:
    for one in manifests():
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == "stillwatch"
        assert "data" not in one or one["kind"] == "ConfigMap"
    (secret,) = named("Secret")
    assert list(secret["stringData"]) == ["EXAMPLE"]


def test_calls_and_variables_exist() -> None:
    for _, template in pods(manifests()):
        for container in template["spec"]["containers"]:
            if "command" not in container:
                check_call(container["args"])
            else:
                calls = [
                    line.split()[1:]
                    for line in container["args"][0].splitlines()
                    if line.startswith("stillwatch ")
                ]
                assert calls
                for call in calls:
                    check_call(call)
    group = cli.get_command(click.Context(cli), "hub")
    assert isinstance(group, click.Group)
    serve = group.get_command(click.Context(group), "serve")
    assert serve is not None
    known = {variable for one in serve.params for variable in ([one.envvar] if one.envvar else [])}
    for name in named("ConfigMap")[0]["data"]:
        assert name in known or name == "STILLWATCH_PUBLIC_URL", name
        assert name.startswith((VARIABLES, "STILLWATCH_PUBLIC"))


def test_the_grace_outlasts_the_drain() -> None:
    (deployment,) = named("Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (hub,) = spec["containers"]
    settings = named("ConfigMap")[0]["data"]
    drain = int(settings["STILLWATCH_HUB_DRAIN_TIME"].removesuffix("s"))
    shutdown = int(settings["STILLWATCH_HUB_SHUTDOWN_TIMEOUT"].removesuffix("s"))
    assert shutdown == HubLimits().shutdown_seconds
    before = hub["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > before + drain + shutdown + MARGIN
    ready = hub["readinessProbe"]
    # A balancer must have noticed before connections are refused.
    assert ready["periodSeconds"] * ready["failureThreshold"] <= before + drain
    assert hub["livenessProbe"]["httpGet"]["path"] == "/livez"
    for probe in ("startupProbe", "readinessProbe"):
        assert hub[probe]["httpGet"]["path"] == "/readyz"
    strategy = deployment["spec"]["strategy"]["rollingUpdate"]
    assert (strategy["maxUnavailable"], deployment["spec"]["replicas"] >= 2) == (0, True)
    assert named("PodDisruptionBudget")[0]["spec"]["minAvailable"] < deployment["spec"]["replicas"]


def test_selectors_and_ports_meet_pods() -> None:
    labels = [template["metadata"]["labels"] for _, template in pods(manifests())]
    hub = named("Deployment")[0]["spec"]["template"]

    def selects(selector: dict[str, str]) -> bool:
        return any(selector.items() <= one.items() for one in labels)

    (service,) = named("Service")
    assert service["spec"]["selector"].items() <= hub["metadata"]["labels"].items()
    ports = {one["name"]: one["containerPort"] for one in hub["spec"]["containers"][0]["ports"]}
    for port in service["spec"]["ports"]:
        assert port["targetPort"] in ports
    policies = named("NetworkPolicy")
    deny = [one for one in policies if one["spec"]["podSelector"] == {}]
    assert [one["spec"]["policyTypes"] for one in deny] == [["Ingress", "Egress"]]
    assert "ingress" not in deny[0]["spec"]
    assert "egress" not in deny[0]["spec"]
    for one in policies:
        if one not in deny:
            assert selects(one["spec"]["podSelector"]["matchLabels"]), one["metadata"]["name"]
        for rule in one["spec"].get("ingress", []):
            assert rule["from"], "open to everybody"
            assert {port["port"] for port in rule["ports"]} <= set(ports.values())


def test_mounts_name_volumes_and_files_are_copied_for_their_owner() -> None:
    for kind, template in pods(manifests()):
        spec = template["spec"]
        volumes = {one["name"] for one in spec["volumes"]}
        for container in (*spec["initContainers"], *spec["containers"]):
            assert {one["name"] for one in container["volumeMounts"]} <= volumes, kind
        (first,) = spec["initContainers"]
        compile(first["args"][0], "init container", "exec")
        assert "os.umask(0o077)" in first["args"][0]
