"""Every scenario in every mode: where flows go by kube-proxy's rules is what kube-proxy's authors and users expect."""

from __future__ import annotations

import pytest

from emulator.kube.proxy.modes import MODES
from emulator.reachability.check import check_flows
from emulator.reachability.report import failure_lines
from tests.reachability.scenario import NODE, Scenario, scenarios


@pytest.mark.parametrize("scenario", list(scenarios()), ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("mode", list(MODES))
def test_flows_go_where_they_should(mode: str, scenario: Scenario) -> None:
    results = list(check_flows(scenario.flows, [mode], scenario.cluster, NODE, scenario.objects))
    assert failure_lines(results) == [], scenario.about
