"""JUnit XML, as CI systems read it: suites of cases, each passed or failed with what it says."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from msgspec import Struct


class JunitCase(Struct, frozen=True, kw_only=True):
    """One case; `message` is empty where it passed, else the line that says why not, `detail` all there is to it."""

    name: str
    classname: str
    message: str = ""
    detail: str = ""


class JunitSuite(Struct, frozen=True, kw_only=True):
    """The cases of one suite; `seconds` where it took a time that means something."""

    name: str
    cases: Sequence[JunitCase]
    seconds: float | None = None


def junit_document(name: str, suites: Sequence[JunitSuite]) -> str:
    """Return the document."""
    root = ElementTree.Element("testsuites", name=name)
    total = failed = 0
    for suite in suites:
        failures = sum(bool(case.message) for case in suite.cases)
        element = ElementTree.SubElement(
            root, "testsuite", name=suite.name, tests=str(len(suite.cases)), failures=str(failures), errors="0"
        )
        if suite.seconds is not None:
            element.set("time", f"{suite.seconds:.3f}")
        for case in suite.cases:
            entry = ElementTree.SubElement(element, "testcase", name=case.name, classname=case.classname)
            if case.message:
                ElementTree.SubElement(entry, "failure", message=case.message).text = case.detail or case.message
        total, failed = total + len(suite.cases), failed + failures
    root.attrib |= {"tests": str(total), "failures": str(failed)}
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
