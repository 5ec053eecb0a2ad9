"""The image and the compose file, read as text: no container engine runs them here.

Of the compose specification the subset that the file uses is written down below, from its published
text; what it does not list is refused, so that a misspelt key is noticed.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import jsonschema
import pytest
import yaml

from hub.settings import ServeSettings
from tests.unit.test_deploy import DEPLOY, check_call

ROOT = DEPLOY.parent
STRINGS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
TEXT = {"type": "string", "minLength": 1}
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
SIZE = {"type": "string", "pattern": r"^\d+[kmg]$"}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def each(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": schema}


HEALTHCHECK = closed(
    {
        "test": {
            "type": "array",
            "items": TEXT,
            "minItems": 2,
            "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}],
        },
        "interval": DURATION,
        "timeout": DURATION,
        "start_period": DURATION,
        "retries": {"type": "integer", "minimum": 1},
    },
    "test",
)
CONDITIONS = ["service_started", "service_healthy", "service_completed_successfully"]
SERVICE = closed(
    {
        "image": {"type": "string", "pattern": r"^[\w./-]+:[\w.-]+$"},
        "build": closed({"context": TEXT, "dockerfile": TEXT}),
        "user": {"type": "string", "pattern": r"^[1-9]\d*:[1-9]\d*$"},
        "command": {"type": "array", "items": {"type": "string"}},
        "environment": each({"type": ["string", "number", "boolean", "null"]}),
        "networks": STRINGS,
        "ports": STRINGS,
        "volumes": STRINGS,
        "tmpfs": STRINGS,
        "secrets": STRINGS,
        "profiles": STRINGS,
        "depends_on": each(closed({"condition": {"enum": CONDITIONS}}, "condition")),
        "healthcheck": HEALTHCHECK,
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "read_only": {"type": "boolean"},
        "cap_drop": STRINGS,
        "cap_add": STRINGS,
        "security_opt": STRINGS,
        "sysctls": each({"type": ["string", "number"]}),
        "ulimits": each(closed({"soft": {"type": "integer"}, "hard": {"type": "integer"}})),
        "shm_size": SIZE,
        "mem_limit": SIZE,
        "pids_limit": {"type": "integer", "minimum": 1},
        "stop_grace_period": DURATION,
        "stop_signal": {"type": "string", "pattern": "^SIG[A-Z0-9]+$"},
        "logging": closed({"driver": TEXT, "options": each(TEXT)}),
    },
    "image",
)
COMPOSE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": each(SERVICE),
        "networks": each(closed({"internal": {"type": "boolean"}})),
        "volumes": each(closed({})),
        "secrets": each(closed({"file": TEXT}, "file")),
    },
    "patternProperties": {"^x-": {}},
    "required": ["services"],
    "additionalProperties": False,
}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def faults(document: dict[str, Any]) -> list[str]:
    """Schema, references between parts, and what every service must be."""
    found = [
        error.message for error in jsonschema.Draft202012Validator(COMPOSE).iter_errors(document)
    ]
    if found:
        return found
    services = document["services"]
    for name, service in services.items():
        for part in ("networks", "secrets"):
            found += [
                f"{name}: no {part} {one}"
                for one in service.get(part, [])
                if one not in document[part]
            ]
        for mount in service.get("volumes", []):
            source = re.sub(r"\$\{[^}]*\}", "/x", mount).partition(":")[0]
            if source.startswith("."):
                missing = not (DEPLOY / source).exists()
            else:
                missing = not source.startswith("/") and source not in document["volumes"]
            found += [f"{name}: no volume {mount}"] * missing
        found += [
            f"{name}: waits for {one}"
            for one in service.get("depends_on", {})
            if one not in services
        ]
        hardened = (
            service.get("read_only") is True
            and service.get("cap_drop") == ["ALL"]
            and "cap_add" not in service
            and "no-new-privileges:true" in service.get("security_opt", [])
            and "user" in service
        )
        found += [f"{name}: is not hardened"] * (not hardened)
        lasting = service.get("restart") != "no"
        found += [f"{name}: no health check"] * (lasting and "healthcheck" not in service)
        waits = [one["condition"] for one in service.get("depends_on", {}).values()]
        found += [f"{name}: waits for a start only"] * ("service_started" in waits)
    return found


def test_the_compose_file_holds() -> None:
    document = compose()
    assert faults(document) == []
    assert set(document["services"]) == {"database", "init", "migrate", "hub", "proxy"}
    assert document["networks"]["inner"] == {"internal": True}
    published = [name for name, one in document["services"].items() if "ports" in one]
    assert published == ["proxy"]
    text = (DEPLOY / "compose.yaml").read_text()
    assert not re.search(r"PASSWORD:|latest", text)


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        ("hub", "read_only", False),
        ("hub", "helthcheck", {}),
        ("hub", "cap_drop", ["NET_RAW"]),
        ("hub", "networks", ["elsewhere"]),
        ("hub", "user", "0:0"),
        ("hub", "image", "stillwatch"),
        ("proxy", "volumes", ["./nginx/gone.conf:/etc/nginx/nginx.conf:ro"]),
        ("proxy", "cap_add", ["NET_ADMIN"]),
        ("database", "healthcheck", {"test": ["pg_isready", "-U", "x"]}),
        ("hub", "depends_on", {"database": {"condition": "service_started"}}),
    ],
)
def test_the_check_of_the_compose_file_notices(service: str, key: str, value: object) -> None:
    document = copy.deepcopy(compose())
    document["services"][service][key] = value
    assert faults(document)


def test_compose_calls_what_exists() -> None:
    for name in ("init", "migrate", "hub"):
        service = compose()["services"][name]
        check_call(service["command"])
        if "healthcheck" in service:
            assert service["healthcheck"]["test"][:2] == ["CMD", "stillwatch"]
            check_call(service["healthcheck"]["test"][2:])
    grace = int(compose()["services"]["hub"]["stop_grace_period"].removesuffix("s"))
    assert grace >= 5 + 20 + 15


def test_the_main_file_of_the_proxy_includes_the_shipped_one() -> None:
    text = re.sub(r"#.*", "", (DEPLOY / "compose/nginx.conf").read_text())
    assert text.count("{") == text.count("}")
    assert "include /etc/nginx/conf.d/stillwatch-hub.conf;" in text
    assert f"listen 127.0.0.1:{ServeSettings().port};" in text
    assert f"default hub:{ServeSettings().port};" in text
    written = re.findall(r"(?:_temp_path|pid) (\S+);", text)
    assert len(written) == 6
    assert all(path.startswith("/tmp/") for path in written)  # a tmpfs of the container


def stages(text: str) -> list[list[tuple[str, str]]]:
    """The instructions of a Containerfile, by stage; those before the first FROM come first."""
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    found: list[list[tuple[str, str]]] = [[]]
    for line in joined.splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            assert name.isupper(), line
            if name == "FROM":
                found.append([])
            found[-1].append((name, rest.strip()))
    return found


def last(stage: list[tuple[str, str]], name: str) -> str:
    return [rest for one, rest in stage if one == name][-1]


def test_the_image_runs_without_root_shell_or_package_manager() -> None:
    before, build, final = stages((DEPLOY / "Containerfile").read_text())
    known = {
        "ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "EXPOSE", "VOLUME",
        "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    assert {name for stage in (before, build, final) for name, _ in stage} <= known
    base = dict(before)["ARG"].removeprefix("BASE=")
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-[a-z]+", base)
    assert build[0] == ("FROM", "${BASE} AS build")
    assert final[0] == ("FROM", "${BASE}")
    user = last(final, "USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    # Nothing is run as root after that.
    names = [name for name, _ in final]
    assert "RUN" not in names[names.index("USER") :]
    installs = [rest for name, rest in build if name == "RUN"]
    for words in re.findall(r"pip install ([^&]*)", " && ".join(installs)):
        assert "--require-hashes" in words or "--no-index" in words, words
    assert "pip uninstall --yes pip" in " ".join(installs)
    for name, rest in (*build, *final):
        if name == "COPY" and not rest.startswith("--from=build"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source


def test_the_image_starts_and_probes_what_exists() -> None:
    _, _, final = stages((DEPLOY / "Containerfile").read_text())
    assert json.loads(last(final, "ENTRYPOINT")) == ["stillwatch"]
    check_call(json.loads(last(final, "CMD")))
    probe = json.loads(last(final, "HEALTHCHECK").partition("CMD ")[2])
    assert probe[0] == "stillwatch"
    check_call(probe[1:])
    assert last(final, "STOPSIGNAL") == "SIGTERM"
    assert str(ServeSettings().port) in last(final, "EXPOSE").split()
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    copied = {
        source.partition("/")[0]
        for stage in stages((DEPLOY / "Containerfile").read_text())
        for name, rest in stage
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied <= {line.removeprefix("!") for line in ignored if line.startswith("!")}


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)", text))


def test_a_hub_runs_on_the_tested_pins() -> None:
    hub, runtime, tested = pins("hub.txt"), pins("runtime.txt"), pins("test.txt")
    assert {"psycopg", "psycopg-pool", "authlib", "opentelemetry-sdk"} <= set(hub)
    assert runtime.items() <= hub.items()
    assert hub.items() <= tested.items()
