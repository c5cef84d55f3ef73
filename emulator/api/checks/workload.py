"""Deployments and the other workloads: replicas, selectors that fit their templates, update strategies."""

from __future__ import annotations

from emulator.api.checks import formats
from emulator.api.checks.metadata import check_labels, check_selector
from emulator.api.checks.pod import check_template
from emulator.api.problem import Cursor
from emulator.api.selectors import matches_raw

_INT32_LAST = 2**31 - 1
_NOT_NEGATIVE = ("replicas", "minReadySeconds", "revisionHistoryLimit", "parallelism", "completions", "backoffLimit")


def check_workload(workload: Cursor) -> None:
    """Check what workloads whose pods run for ever share: a template, and a selector that finds the pods."""
    _check_endless(workload)
    _check_selector_fits(workload.get("spec"), workload.get("kind").text or "")


def check_replication_controller(controller: Cursor) -> None:
    """Check a ReplicationController: its selector is plain labels, by default those of its template."""
    _check_endless(controller)
    spec = controller.get("spec")
    template, selector = spec.get("template"), spec.get("selector")
    if spec.value is not None and template.value is None:
        template.required()
    labels = template.get("metadata", "labels")
    wanted, given = selector.value, labels.value
    check_labels(selector)
    if not selector.given and not labels.given and template.value is not None:
        selector.required()
    elif isinstance(wanted, dict) and not wanted.items() <= (given if isinstance(given, dict) else {}).items():
        Cursor(given or {}, labels.path, labels.problems).invalid("`selector` does not match template `labels`")


def _check_endless(workload: Cursor) -> None:
    spec = workload.get("spec")
    if spec.value is None:
        spec.required()
        return
    template = spec.get("template")
    claims = {claim.get("metadata", "name").text or "" for claim in spec.get("volumeClaimTemplates")}
    check_template(template, claims)
    _check_not_negative(spec)
    policy = template.get("spec", "restartPolicy")
    if policy.text in ("OnFailure", "Never"):
        policy.unsupported(["Always"])


def check_deployment(deployment: Cursor) -> None:
    """Check a Deployment and its strategy."""
    check_workload(deployment)
    strategy = deployment.get("spec", "strategy")
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type").text == "Recreate":
        if rolling.given:
            rolling.forbidden("may not be specified when strategy `type` is 'Recreate'")
        return
    _check_amounts(rolling, ("maxSurge", "maxUnavailable"))
    surge, unavailable = rolling.get("maxSurge"), rolling.get("maxUnavailable")
    if surge.value in (0, "0%") and unavailable.value in (0, "0%"):
        unavailable.invalid("may not be 0 when `maxSurge` is 0")


def check_stateful_set(stateful_set: Cursor) -> None:
    """Check a StatefulSet, its numbers and its strategy."""
    check_workload(stateful_set)
    spec = stateful_set.get("spec")
    rolling = _check_update_strategy(spec.get("updateStrategy"))
    for number in (rolling.get("partition"), spec.get("ordinals", "start")):
        if number.number is not None and number.number < 0:
            number.invalid("must be greater than or equal to 0")
    _check_amounts(rolling, ("maxUnavailable",))


def check_daemon_set(daemon_set: Cursor) -> None:
    """Check a DaemonSet and its strategy."""
    check_workload(daemon_set)
    rolling = _check_update_strategy(daemon_set.get("spec", "updateStrategy"))
    _check_amounts(rolling, ("maxSurge", "maxUnavailable"))


def _check_update_strategy(strategy: Cursor) -> Cursor:
    """Check the type; return the place of the rolling update's parameters."""
    kind = strategy.get("type")
    rolling = strategy.get("rollingUpdate")
    if kind.text is not None and kind.text not in ("RollingUpdate", "OnDelete"):
        kind.unsupported(["OnDelete", "RollingUpdate"])
    elif kind.text == "OnDelete" and rolling.given:
        rolling.invalid("only allowed for updateStrategy 'RollingUpdate'")
    return rolling


def _check_amounts(rolling: Cursor, names: tuple[str, ...]) -> None:
    """Check numbers of pods, or percentages of all."""
    for name in names:
        amount = rolling.get(name)
        if amount.number is not None and amount.number < 0:
            amount.invalid("must be greater than or equal to 0")
        for problem in formats.percent(amount.text) if amount.text is not None else ():
            amount.invalid(problem)


def check_job(job: Cursor) -> None:
    """Check a Job: its pods end."""
    _check_job_spec(job.get("spec"))


def check_cron_job(cron_job: Cursor) -> None:
    """Check a CronJob's job."""
    _check_job_spec(cron_job.get("spec", "jobTemplate", "spec"))


def _check_job_spec(spec: Cursor) -> None:
    if spec.value is None:
        spec.required()
        return
    template = spec.get("template")
    check_template(template)
    _check_not_negative(spec)
    policy = template.get("spec", "restartPolicy")
    if not policy.given:
        policy.required('valid values: "OnFailure", "Never"')
    elif policy.text == "Always":
        policy.unsupported(["OnFailure", "Never"])


def _check_not_negative(spec: Cursor) -> None:
    for name in _NOT_NEGATIVE:
        number = spec.get(name)
        if number.number is not None and number.number < 0:
            number.invalid("must be greater than or equal to 0")
        elif number.number is not None and number.number > _INT32_LAST:
            number.invalid(f"must be less than or equal to {_INT32_LAST}")


def _check_selector_fits(spec: Cursor, kind: str) -> None:
    selector = spec.get("selector")
    if not isinstance(selector.value, dict):
        return  # the schema requires it
    problems_before = len(selector.problems)
    check_selector(selector)
    if len(selector.problems) > problems_before:
        return
    if not selector.get("matchLabels").given and not selector.get("matchExpressions").given:
        selector.invalid(f"empty selector is invalid for {kind.lower()}")
        return
    labels = spec.get("template", "metadata", "labels")
    if matches_raw(selector.value, labels.value if isinstance(labels.value, dict) else {}) is False:
        Cursor(labels.value or {}, labels.path, labels.problems).invalid("`selector` does not match template `labels`")
