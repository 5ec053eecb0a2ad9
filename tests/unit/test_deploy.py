"""The shipped units and the proxy's configuration agree with the program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from hub.cli.main import cli
from hub.settings import MIB, HubLimits, ServeSettings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("systemd/*.service"))
TIMERS = sorted(DEPLOY.glob("systemd/*.timer"))
PROGRAM = "/opt/stillwatch/bin/stillwatch"
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
}


def settings(unit: Path) -> dict[str, list[str]]:
    """Every `Name=value` line, in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def commands(text: str) -> list[list[str]]:
    """Every call of `stillwatch`, as words; shell variables stand for themselves."""
    joined = text.replace("\\\n", " ")
    calls = re.findall(
        r"(?:^|\s)(?:\S*/)?stillwatch "
        r"((?:hub|witness|custodian|pull|channel|init|join|status)[^\n]*)",
        joined,
    )
    return [call.split("#")[0].split() for call in calls]


def check_call(words: list[str]) -> None:
    """Parse a call as click does, without running it."""
    command: click.Command = cli
    context = click.Context(cli, info_name="stillwatch")
    rest = list(words)
    while isinstance(command, click.Group):
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"no command {name!r} in {words}"
        command = found
    options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    for word in rest:
        if word.startswith("--"):
            assert word.partition("=")[0] in options, f"no option {word} in {words}"


def test_there_is_a_service_for_each_timer() -> None:
    names = {unit.stem for unit in UNITS}
    assert {timer.stem for timer in TIMERS} <= names
    assert {
        "stillwatch-hub",
        "stillwatch-witness",
        "stillwatch-custodian",
        "stillwatch-pull",
        "stillwatch-renew",
    } <= names


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_are_hardened_and_call_what_exists(unit: Path) -> None:
    found = settings(unit)
    for name, value in HARDENING.items():
        assert found.get(name) == [value], name
    assert found["User"][0] not in ("", "root")
    calls = commands("\n".join(found["ExecStart"]))
    assert calls
    for call in calls:
        check_call(call)
    assert all(PROGRAM in line for line in found["ExecStart"])


def test_the_unit_outlasts_the_drain() -> None:
    stop = int(settings(DEPLOY / "systemd/stillwatch-hub.service")["TimeoutStopSec"][0])
    assert stop > HubLimits().shutdown_seconds


def test_the_proxy_agrees_with_the_limits() -> None:
    text = (DEPLOY / "nginx/stillwatch-hub.conf").read_text()
    assert f"server 127.0.0.1:{ServeSettings().port};" in text
    assert f"client_max_body_size {HubLimits().content_length // MIB}m;" in text
    assert f"client_body_timeout {HubLimits().body_seconds:g}s;" in text
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    # Loads on nginx 1.22 with OpenSSL 3.0 too; newer directives and groups keep it from starting.
    assert "http2 on;" not in re.sub(r"#.*", "", text)
    assert "MLKEM" not in re.sub(r"#.*", "", text)
    for probe in ("readyz", "livez"):
        assert re.search(rf"location ~ \^/\([a-z|]*{probe}[a-z|]*\)/\?\$ {{ return 404; }}", text)
    assert "$args" not in text
    assert "$request_uri" not in text
    assert text.count("{") == text.count("}")


def test_the_guide_calls_what_exists() -> None:
    text = (DEPLOY / "README.md").read_text()
    fenced = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    inline = "\n".join(re.findall(r"`(stillwatch [^`]*)`", text))
    calls = commands(fenced) + commands(inline)
    assert len(calls) > 15
    for call in calls:
        check_call(call)
    for name in re.findall(r"systemd/([\w.-]+)`", text):
        assert (DEPLOY / "systemd" / name).exists() or name.startswith("."), name


def test_systemd_takes_the_units_where_it_is(tmp_path: Path) -> None:
    """Only the program's path is another one: the real one is not installed here."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return
    for unit in (*UNITS, *TIMERS):
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    units = [str(tmp_path / unit.name) for unit in (*UNITS, *TIMERS)]
    command = [program, "verify", "--man=no", "--generators=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert said == []


def test_a_reload_renews_the_processes() -> None:
    found = settings(DEPLOY / "systemd/stillwatch-hub.service")
    assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert "--processes 2" in found["ExecStart"][0]
    # The supervisor ends its processes itself.
    assert found["KillMode"] == ["mixed"]


def test_variables_of_the_environment_file_exist() -> None:
    named = re.findall(
        r"^#? ?(STILLWATCH_HUB_\w+)=", (DEPLOY / "systemd/hub.env").read_text(), re.MULTILINE
    )
    group = cli.get_command(click.Context(cli), "hub")
    assert isinstance(group, click.Group)
    serve = group.get_command(click.Context(group), "serve")
    assert serve is not None
    known = {str(one.envvar) for one in serve.params if one.envvar}
    assert len(named) > 5
    assert set(named) <= known


def test_the_proxy_passes_certificates_and_streams() -> None:
    text = re.sub(r"#.*", "", (DEPLOY / "nginx/stillwatch-hub.conf").read_text())
    # Only what was verified, under a name that clients cannot set.
    assert re.search(r"map \$ssl_client_verify (\S+) \{\s+SUCCESS \$ssl_client_escaped_cert;", text)
    assert "proxy_set_header X-Client-Cert $stillwatch_client_cert;" in text
    assert 'proxy_set_header Client-Cert "";' in text
    assert text.count("proxy_set_header") == 6
    streams = text[text.index("/events/?$ {") :].partition("}")[0]
    assert "proxy_buffering off;" in streams
    assert "proxy_set_header" not in streams  # it would drop those above


def test_the_guide_names_every_setting() -> None:
    """By its option or by its variable; what has no variable is in the help text alone."""
    text = (DEPLOY / "README.md").read_text()
    group = cli.get_command(click.Context(cli), "hub")
    assert isinstance(group, click.Group)
    serve = group.get_command(click.Context(group), "serve")
    assert serve is not None
    named = {one.opts[0]: str(one.envvar) for one in serve.params if one.envvar}
    assert len(named) > 30
    unnamed = [
        option
        for option, variable in named.items()
        if f"{option}`" not in text and f"{option} " not in text and variable not in text
    ]
    assert unnamed == []
