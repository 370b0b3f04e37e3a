"""Prometheus' own tool finds nothing wrong with the alerts, and each of them is proved to fire and not to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bot3.settings import load_settings
from bot3.wiring import metrics_page, open_platform
from tests.dashboard.homes import make_home

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULES = ROOT / "deploy" / "prometheus" / "bot3.rules.yml"
PROOFS = ROOT / "tests" / "deploy" / "prometheus" / "bot3.rules.test.yml"
ALERTS = [rule["alert"] for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
MISSING = "promtool is not installed: apt-get install prometheus"


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return found


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60)


def test_rules_given_promtool_then_it_finds_nothing_wrong(promtool: str) -> None:
    for ended in (run(promtool, "check", "rules", RULES), run(promtool, "check", "config", CONFIGURATION)):
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_rules_given_their_proofs_then_each_alert_does_what_is_said(promtool: str) -> None:
    ended = run(promtool, "test", "rules", PROOFS)

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("alert", ALERTS)
def test_proofs_given_an_alert_that_never_fires_then_they_fail(promtool: str, tmp_path: Path, alert: str) -> None:
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            if rule["alert"] == alert:
                rule["expr"] = f"({rule['expr']}) and on () vector(1) == 2"
    (tmp_path / RULES.name).write_text(yaml.safe_dump(rules))
    proofs = yaml.safe_load(PROOFS.read_text(encoding="utf-8")) | {"rule_files": [RULES.name]}
    # The proofs of other alerts take a second and change nothing.
    proofs["tests"] = [test for test in proofs["tests"] if any(rule["alertname"] == alert for rule in test.get("alert_rule_test", ()))]
    (tmp_path / PROOFS.name).write_text(yaml.safe_dump(proofs))

    ended = run(promtool, "test", "rules", tmp_path / PROOFS.name)

    assert (ended.returncode, alert in ended.stdout + ended.stderr) == (1, True)


def test_rules_given_the_exporters_page_then_every_name_is_on_it(tmp_path: Path) -> None:
    make_home(tmp_path)
    settings = load_settings({}, env_file=tmp_path / "no.env", home=tmp_path, influx_url="http://127.0.0.1:1")
    with open_platform(settings, read_only=True) as platform:
        shown = set(re.findall(r"^(bot3_\w+)", metrics_page(platform), flags=re.MULTILINE))
    expressions = re.sub(r"{{.*?}}", "", "\n".join(re.findall(r"expr: (.*)$", RULES.read_text(encoding="utf-8"), flags=re.MULTILINE)))

    assert set(re.findall(r"bot3_\w+", expressions)) - shown == set()


def test_configuration_given_the_default_port_then_it_is_read() -> None:
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))

    (target,) = configuration["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == f"127.0.0.1:{load_settings({}).metrics_port}"


def test_alerts_given_any_then_each_has_a_severity_and_a_remedy() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]

    assert [rule["alert"] for rule in rules if rule["labels"]["severity"] not in {"critical", "warning"}] == []
    assert [rule["alert"] for rule in rules if not (rule["annotations"]["summary"] and rule["annotations"]["remedy"])] == []
