"""The files of deploy/ for Prometheus and Grafana, and a real Prometheus that scrapes."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.deployed import DEPLOY
from tests.helpers.process import Start, starting
from tests.helpers.servers import Server, find, missing, until
from tests.service.test_metrics import NAMES

OF_PROMETHEUS = {"up", "job", "instance"}
"""Names that Prometheus itself gives."""

RULES, CHECKS, CONFIGURATION = (
    *(DEPLOY / "alerts.yaml", DEPLOY / "alerts-test.yaml"),
    DEPLOY / "prometheus.yaml",
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


def promtool(*arguments: str | Path) -> str:
    """Run promtool, which must find no mistake; return what it says."""
    if reason := missing("promtool"):
        pytest.skip(reason)
    result = subprocess.run(
        [str(find("promtool")), *map(str, arguments)],
        cwd=DEPLOY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def metrics_in(expression: str) -> set[str]:
    """Return the names of metrics in a PromQL expression."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expression)
    without_groups = re.sub(r"\b(?:by|on|without|ignoring) *\([^)]*\)", "", without_labels)
    return set(re.findall(r"\b[a-z]+_[a-z_]+\b(?! *\()", without_groups)) - OF_PROMETHEUS


def labels_in(expression: str) -> set[str]:
    """Return the labels that a PromQL expression matches or groups by."""
    matched = {
        name
        for group in re.findall(r"\{([^}]*)\}", expression)
        for name in re.findall(r"(\w+) *(?:=|!)", group)
    }
    grouped = {
        name.strip()
        for group in re.findall(r"\bby *\(([^)]*)\)", expression)
        for name in group.split(",")
    }
    return (matched | grouped) - OF_PROMETHEUS


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
    return found


def expressions() -> list[str]:
    """Return what the dashboard's panels and the alert rules ask for."""
    panels = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    (query,) = (v["query"] for v in dashboard()["templating"]["list"] if v["name"] == "manager")
    rules = re.findall(r"expr: (?:>\n)?(.*?)\n +for:", RULES.read_text(), re.DOTALL)
    return [*panels, *rules, re.sub(r"label_values\((.*?),.*", r"\1", query)]


def test_dashboard_and_rules_ask_for_what_there_is() -> None:
    asked = expressions()
    assert len(asked) > 15
    for expression in asked:
        names = metrics_in(expression)
        assert names, expression
        for name in names:
            assert name in NAMES, expression
        known = set().union(*(NAMES[name] for name in names))
        assert labels_in(expression) <= known, expression


def families(names: Iterable[str]) -> set[str]:
    """Return the names of metrics, of whose samples these are."""
    return {re.sub("_(bucket|count|sum)$", "", name) for name in names}


def test_every_metric_is_on_the_dashboard_and_in_the_readme() -> None:
    shown = set().union(*map(metrics_in, expressions()))
    assert families(shown) == families(NAMES)
    readme = (DEPLOY / "README.md").read_text()
    listed = dict(re.findall(r"^\| `([a-z_]+)` \|(.*?)\|", readme, re.MULTILINE))
    assert set(listed) == families(NAMES)
    for name, labels in listed.items():
        known = next(labels for sample, labels in NAMES.items() if families([sample]) == {name})
        assert set(re.findall(r"`(\w+)`", labels)) == known - {"manager", "le"}


def test_the_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [(p["x"] // 12, p["y"] // 8) for p in places if (p["w"], p["h"]) == (12, 8)]
    assert len(set(cells)) == len(places)
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(places)


def test_promtool_finds_no_mistake() -> None:
    assert "4 rules found" in promtool("check", "rules", RULES)
    assert "is valid prometheus config file syntax" in promtool("check", "config", CONFIGURATION)


def test_the_rules_tell_what_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", CHECKS)
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    assert set(re.findall(r"alertname: (\w+)", CHECKS.read_text())) == alerts


class Prometheus(Server):
    """A real one, which scrapes these ports as deploy/prometheus.yaml says, only more often."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        super().__init__(folder)

    def prepare(self) -> None:
        text = CONFIGURATION.read_text()
        text = text.replace("15s", "200ms").replace("[alerts.yaml]", f"[{RULES}]")
        text = re.sub(r"targets: \[.*\]", f"targets: [{self.targets}]", text)
        (self.folder / "prometheus.yaml").write_text(text)

    def command(self) -> Sequence[str | Path]:
        program = find("prometheus")
        assert program is not None
        return [
            program,
            f"--config.file={self.folder}/prometheus.yaml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def ask(self, path: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float:
        """Return the one value of *expression* now."""
        (result,) = self.ask("query", query=expression)["result"]
        return float(result["value"][1])


def test_a_real_prometheus_scrapes_two_processes(start: Start, tmp_path: Path) -> None:
    if reason := missing("prometheus"):
        pytest.skip(reason)
    store = f"--store=sqlite:///{tmp_path}/sessions"
    service = start("--port=0", "--processes=2", "--metrics-port=0", store)
    line = next(line for line in service.output.splitlines() if "metrics on" in line)
    ports = [int(port) for port in re.findall(r":(\d+)/metrics", line)]
    cookie = service.get("/sessions/set/Ada").cookie
    for _ in range(10):
        assert service.get("/sessions/get", cookie).body == "Ada"
    prometheus = Prometheus(tmp_path / "prometheus", ports)
    try:
        until(lambda: prometheus.value("sum(up)") == 2, "both processes to be scraped")
        assert prometheus.value('sum(sessions_loads_total{outcome="hit"})') == 10
        created = 'sum(sessions_commits_total{kind="create", outcome="done"})'
        assert prometheus.value(created) == 1
        assert prometheus.value("count(event_loop_lag_seconds < 10)") == 2
        requests = 'sum(tornado_request_seconds_count{handler="GetName", code="200"})'
        assert prometheus.value(requests) == 10
        until(lambda: prometheus.value("max(sessions_records)") == 1, "the number of records")
        kinds = {name: found[0]["type"] for name, found in prometheus.ask("metadata").items()}
        assert kinds["sessions_store_seconds"] == "histogram"
        assert kinds["sessions_loads"] == "counter"  # so it asked for OpenMetrics
        assert kinds["sessions_sockets"] == "gauge"
        for expression in expressions():
            shown = expression.replace("$__rate_interval", "1m").replace("$manager", ".*")
            prometheus.ask("query", query=shown)
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert len(rules) == 4
        assert all(rule["state"] == "inactive" for rule in rules)
    finally:
        prometheus.kill()


def test_the_ports_in_the_example_are_those_of_its_comment() -> None:
    text = CONFIGURATION.read_text()
    assert "--processes=2 --metrics-port=9101" in text
    assert re.findall(r":(\d+)\"", text) == ["9101", "9102"]
