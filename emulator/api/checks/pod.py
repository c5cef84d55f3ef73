"""Pods, alone or as the template of a workload: what their network and their scheduling need."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from emulator.api.app_annotation import problems as app_problems
from emulator.api.checks import formats
from emulator.api.checks.container import check_containers
from emulator.api.checks.metadata import check_annotations, check_labels
from emulator.api.problem import Cursor


def check_pod(pod: Cursor) -> None:
    """Check a Pod."""
    check_pod_spec(pod.get("spec"))
    _check_apps(pod)


def check_template(template: Cursor, claims: AbstractSet[str] = frozenset()) -> None:
    """Check a pod template: labels, annotations and spec; it needs no name. `claims` are a StatefulSet's volumes."""
    check_labels(template.get("metadata", "labels"))
    check_annotations(template.get("metadata", "annotations"))
    spec = template.get("spec")
    if spec.value is None and isinstance(template.value, dict):
        spec.get("containers").required()
    check_pod_spec(spec, claims)
    _check_apps(template)


def _check_apps(pod: Cursor) -> None:
    """Check the annotations that name coroutines of the user's."""
    annotations = pod.get("metadata", "annotations")
    values = {key: value.text for key, value in annotations.entries() if value.text is not None}
    names = [name for container in pod.get("spec", "containers") if (name := container.get("name").text)]
    for key, problem in app_problems(values, names).items():
        annotations.get(key).invalid(problem)


def check_pod_spec(spec: Cursor, claims: AbstractSet[str] = frozenset()) -> None:
    """Check the spec of a pod."""
    if not isinstance(spec.value, dict):
        return
    check_containers(spec, claims)
    _check_volumes(spec.get("volumes"))
    check_labels(spec.get("nodeSelector"))
    for name in ("hostname", "subdomain"):
        label = spec.get(name)
        for problem in formats.label_1123(label.text) if label.text else ():
            label.invalid(problem)
    for name in ("nodeName", "serviceAccountName"):
        subdomain = spec.get(name)
        for problem in formats.subdomain_1123(subdomain.text) if subdomain.text else ():
            subdomain.invalid(problem)
    for name in ("terminationGracePeriodSeconds", "activeDeadlineSeconds"):
        seconds = spec.get(name)
        if seconds.number is not None and seconds.number < 0:
            seconds.invalid("must be greater than or equal to 0")
    _check_resolver(spec)
    for alias in spec.get("hostAliases"):
        address = alias.get("ip")
        for problem in formats.ip_address(address.text) if address.text else ():
            address.invalid(problem)
        for host in alias.get("hostnames"):
            for problem in formats.subdomain_1123(host.text) if host.text is not None else ():
                host.invalid(problem)
    _check_tolerations(spec.get("tolerations"))


def _check_volumes(volumes: Cursor) -> None:
    seen: set[str] = set()
    for volume in volumes:
        name = volume.get("name")
        if name.text is None:
            continue
        for problem in formats.label_1123(name.text):
            name.invalid(problem)
        if name.text in seen:
            name.duplicate()
        seen.add(name.text)
        sources = [key for key, _ in volume.entries() if key != "name"]
        if len(sources) > 1:
            volume.get(sources[1]).forbidden("may not specify more than 1 volume type")
        projected = [source.get(key) for source in volume.get("projected", "sources") for key in _WITH_FILES]
        for source in (*(volume.get(key) for key in _WITH_FILES), *projected):
            for item in source.get("items"):
                _check_local_path(item.get("path"))


_WITH_FILES = ("configMap", "secret", "downwardAPI")


def _check_local_path(path: Cursor) -> None:
    """Check where a file lies in its volume (validateLocalNonReservedPath)."""
    if path.text is None:
        return
    if path.text.startswith("/"):
        path.invalid("must be a relative path")
    if ".." in path.text.split("/"):
        path.invalid("must not contain '..'")
    elif path.text.startswith(".."):
        path.invalid("must not start with '..'")


def _check_resolver(spec: Cursor) -> None:
    config = spec.get("dnsConfig")
    nameservers = config.get("nameservers")
    if spec.get("dnsPolicy").text == "None" and not nameservers.given:
        nameservers.required("must provide at least one DNS nameserver when `dnsPolicy` is None")
    if isinstance(nameservers.value, list) and len(nameservers.value) > 3:
        nameservers.invalid("must not have more than 3 nameservers")
    for server in nameservers:
        for problem in formats.ip_address(server.text) if server.text is not None else ():
            server.invalid(problem)
    for search in config.get("searches"):
        # A search path may end with a dot, which says that it is complete.
        for problem in formats.subdomain_1123(search.text.removesuffix(".")) if search.text else ():
            search.invalid(problem)


def _check_tolerations(tolerations: Cursor) -> None:
    for toleration in tolerations:
        key = toleration.get("key")
        operator = toleration.get("operator")
        if key.text:
            for problem in formats.qualified_name(key.text):
                key.invalid(problem)
        elif operator.text != "Exists":
            operator.invalid('operator must be Exists when `key` is empty, which means "match all values and all keys"')
        if operator.text == "Exists" and toleration.get("value").given:
            toleration.get("value").invalid("value must be empty when `operator` is 'Exists'")
