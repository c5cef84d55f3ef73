"""Deployments and the other workloads: replicas, selectors that fit their templates, update strategies."""

from __future__ import annotations

from emulator.api.checks import formats
from emulator.api.checks.metadata import check_selector
from emulator.api.checks.pod import check_template
from emulator.api.problem import Cursor
from emulator.api.selectors import matches_raw

_NOT_NEGATIVE = ("replicas", "minReadySeconds", "revisionHistoryLimit", "parallelism", "completions", "backoffLimit")


def check_workload(workload: Cursor) -> None:
    """Check a Deployment, ReplicaSet, StatefulSet or DaemonSet: pods that run for ever, found by a selector."""
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
    _check_selector_fits(spec, workload.get("kind").text or "")


def check_deployment(deployment: Cursor) -> None:
    """Check a Deployment and its strategy."""
    check_workload(deployment)
    strategy = deployment.get("spec", "strategy")
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type").text == "Recreate":
        if rolling.given:
            rolling.forbidden("may not be specified when strategy `type` is 'Recreate'")
        return
    surge, unavailable = rolling.get("maxSurge"), rolling.get("maxUnavailable")
    for amount in (surge, unavailable):
        if amount.number is not None and amount.number < 0:
            amount.invalid("must be greater than or equal to 0")
        for problem in formats.percent(amount.text) if amount.text is not None else ():
            amount.invalid(problem)
    if surge.value in (0, "0%") and unavailable.value in (0, "0%"):
        unavailable.invalid("may not be 0 when `maxSurge` is 0")


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
