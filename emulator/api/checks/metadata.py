"""Metadata of every object, and label selectors wherever they stand."""

from __future__ import annotations

from emulator.api.checks import formats
from emulator.api.kinds import Kind
from emulator.api.problem import Cursor

ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes that all annotations of an object may take together."""

_NAME_FORMS = {
    "Namespace": formats.label_1123,
    "Service": formats.label_1035,
    "Role": formats.path_segment,
    "RoleBinding": formats.path_segment,
    "ClusterRole": formats.path_segment,
    "ClusterRoleBinding": formats.path_segment,
}


def check_metadata(metadata: Cursor, kind: Kind) -> None:
    """Check the name, namespace, labels and annotations of an object of this kind."""
    name = metadata.get("name")
    prefix = metadata.get("generateName")
    if not name.given and not prefix.given:
        name.required("name or generateName is required")
    check_name = _NAME_FORMS.get(kind.kind, formats.subdomain_1123)
    if name.text:
        for problem in check_name(name.text):
            name.invalid(problem)
    if prefix.text:
        # The server adds five characters, so that a prefix may end with a dash.
        for problem in check_name(f"{prefix.text}xxxxx"):
            prefix.invalid(problem)
    namespace = metadata.get("namespace")
    if namespace.text and kind.namespaced:
        for problem in formats.label_1123(namespace.text):
            namespace.invalid(problem)
    check_labels(metadata.get("labels"))
    check_annotations(metadata.get("annotations"))


def check_labels(labels: Cursor) -> None:
    """Check the keys and values of labels (or of a plain selector, such as a Service's)."""
    for key, value in labels.entries():
        for problem in formats.qualified_name(key):
            Cursor(key, value.path[:-1], value.problems).invalid(problem)
        if value.text is not None:
            for problem in formats.label_value(value.text):
                Cursor(value.text, value.path[:-1], value.problems).invalid(problem)


def check_annotations(annotations: Cursor) -> None:
    """Check the keys and the whole size of annotations."""
    size = 0
    for key, value in annotations.entries():
        size += len(key.encode()) + len((value.text or "").encode())
        for problem in formats.qualified_name(key.lower()):
            Cursor(key, value.path[:-1], value.problems).invalid(problem)
    if size > ANNOTATIONS_LIMIT:
        annotations.report(f"Too long: may not be more than {ANNOTATIONS_LIMIT} bytes")


def check_selector(selector: Cursor) -> None:
    """Check a label selector with `matchLabels` and `matchExpressions`."""
    check_labels(selector.get("matchLabels"))
    for expression in selector.get("matchExpressions"):
        key = expression.get("key")
        for problem in formats.qualified_name(key.text) if key.text else ():
            key.invalid(problem)
        values = expression.get("values")
        operator = expression.get("operator").text
        if operator in ("In", "NotIn") and not values.given:
            values.required("must be specified when `operator` is 'In' or 'NotIn'")
        if operator in ("Exists", "DoesNotExist") and values.given:
            values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        for value in values:
            for problem in formats.label_value(value.text) if value.text else ():
                value.invalid(problem)
