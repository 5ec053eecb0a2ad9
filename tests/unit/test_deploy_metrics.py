"""Alert rules and the dashboard ask for what a running hub tells, in PromQL that holds together.

Without promtool the syntax is checked as far as words, brackets, matchers, ranges and arguments in
parentheses go: not types of expressions, nor whether labels match between two sides. Where promtool
is installed it checks the rules, and the dashboard's expressions as rules.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from hub.server.metrics import Metrics
from hub.server.metrics_port import MetricsAddress, MetricsPort
from tests.unit.server.harness import House
from tests.unit.server.test_metrics import scrape
from tests.unit.test_deploy import DEPLOY

RULES = DEPLOY / "prometheus" / "rules.yaml"
DASHBOARD = DEPLOY / "grafana" / "stillwatch-hub.json"
FUNCTIONS = {"rate", "increase", "histogram_quantile", "abs", "changes", "label_values"}
AGGREGATIONS = {"sum", "max", "min", "count"}
WORDS = {"by", "or", "and", "unless"}
OF_PROMETHEUS = {"up"}
"""Made by Prometheus itself."""
TOKEN = re.compile(
    r"\s+|(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<duration>\d+[smhd])(?![\w.])|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_:$][\w:$]*)|(?P<operator>=~|!~|!=|>=|<=|==|[-+*/<>=(){}\[\],])"
)
PAIRS = {")": "(", "}": "{", "]": "["}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + asked


def tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(text):
        match = TOKEN.match(text, place)
        assert match, f"no PromQL at {text[place : place + 20]!r}"
        place = match.end()
        if match.lastgroup:
            found.append((match.lastgroup, match[0]))
    return found


def check_inside(bracket: str, kind: str, word: str, following: str) -> None:
    """One word of a list of matchers, a range or a list of labels."""
    if bracket == "{" and kind == "name":
        assert following in ("=", "!=", "=~", "!~"), word + following
    elif bracket == "{" and word in ("=", "!=", "=~", "!~"):
        assert following.startswith('"'), word + following
        if "~" in word:
            re.compile(following.strip('"').replace("$instance", ".*"))
    elif bracket == "[":
        assert kind == "duration" or word == "$__rate_interval", word
    elif bracket == "by":
        assert word == "," or (kind == "name" and following in (",", ")")), word


def metric_names(text: str) -> set[str]:
    """Names of the metrics that an expression asks for; AssertionError where it does not hold."""
    brackets: list[str] = []
    names: set[str] = set()
    words = [("", ""), *tokens(text), ("", "")]
    for (_, before), (kind, word), (_, following) in zip(words, words[1:], words[2:], strict=False):
        if kind == "operator" and word in "([{":
            brackets.append("by" if before == "by" else word)
        elif word in PAIRS:
            assert brackets, text
            last = brackets.pop()
            assert last == PAIRS[word] or (last, word) == ("by", ")"), text
        elif brackets and brackets[-1] != "(":
            check_inside(brackets[-1], kind, word, following)
        elif kind == "name" and following in ("(", "by"):
            assert word in FUNCTIONS | AGGREGATIONS | WORDS, word
        elif kind == "name" and word not in WORDS:
            names.add(word)
    assert not brackets, text
    return names


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all samples in a scrape of a hub that has served, with two kinds of answer."""
    metrics = Metrics(store="sqlite", version="1")
    with House(tmp_path_factory.mktemp("hub"), metrics=metrics) as house:
        house.ask("GET", "/taxii2/")
        house.ask("GET", "/taxii2/", who=None)
        with MetricsPort(metrics, MetricsAddress("127.0.0.1", 0)) as port:
            text = scrape(port.port)
    return {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples
    }


def test_every_metric_that_is_asked_for_is_told(told: set[str]) -> None:
    asked = set().union(*(metric_names(text) for text in expressions()))
    assert len(asked) > 20
    assert asked - OF_PROMETHEUS <= told


def test_every_metric_of_ours_is_on_the_dashboard(told: set[str]) -> None:
    shown = set().union(
        *(metric_names(target["expr"]) for panel in panels() for target in panel["targets"])
    )
    # `ready` is for the balancer; sums and counts of histograms are their buckets' siblings.
    ours = {name for name in told if name.startswith("stillwatch_")} - {"stillwatch_ready"}
    ours = {name for name in ours if not name.endswith(("_sum", "_count", "_bucket"))}
    assert ours <= shown


@pytest.mark.parametrize(
    "text",
    [
        "sum(rate(stillwatch_objects_total[5m])",
        "sum(rate(stillwatch_objects_total[5q]))",
        'stillwatch_objects_total{fate:"stored"}',
        "stillwatch_objects_total{fate=stored}",
        'stillwatch_objects_total{fate=~"("}',
        "average(stillwatch_objects_total)",
        "sum by (instance stillwatch_objects_total)",
        "stillwatch_objects_total ? 1",
    ],
)
def test_the_check_of_expressions_notices(text: str) -> None:
    with pytest.raises((AssertionError, re.error)):
        metric_names(text)


def test_names_that_nobody_tells_are_noticed(told: set[str]) -> None:
    assert metric_names("sum(rate(stillwatch_nothing_total[5m]))") - told == {
        "stillwatch_nothing_total"
    }


def test_each_alert_has_its_paragraph() -> None:
    guide = (DEPLOY / "README.md").read_text()
    for rule in rules():
        assert re.fullmatch("Stillwatch[A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in ("page", "ticket")
        anchor = rule["annotations"]["runbook"]
        assert anchor == f"deploy/README.md#{rule['alert'].lower()}"
        paragraph = re.search(rf"^#### {rule['alert']}\n+(.{{80,}})", guide, re.MULTILINE)
        assert paragraph, rule["alert"]
        assert rule["annotations"]["summary"]
    headings = re.findall(r"^#### (Stillwatch\w+)$", guide, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in rules())


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    document = json.loads(DASHBOARD.read_text())
    assert document["schemaVersion"] >= 36
    variables = {one["name"] for one in document["templating"]["list"]}
    assert variables == {"source", "instance"}
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for panel in panels():
        place = panel["gridPos"]
        assert 0 <= place["x"] <= 24 - place["w"]
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${source}"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_promtool_agrees_where_it_is(tmp_path: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        return
    asked = [
        {"record": f"dashboard:{index}", "expr": text.replace("$__rate_interval", "5m")}
        for index, text in enumerate(expressions())
    ]
    shown = tmp_path / "dashboard.yaml"
    shown.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": asked}]}))
    for path in (RULES, shown):
        done = subprocess.run(
            [program, "check", "rules", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
