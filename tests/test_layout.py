"""The house rules that a machine checks: sizes, file docstrings, import contracts, tests that mirror packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from importlinter import cli as import_linter

ROOT = Path(__file__).parent.parent
PACKAGES = ("emulator", "tui")
FILE_LINES = 400
FUNCTION_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def sources() -> dict[str, str]:
    """Return the text of each Python file of the packages by its path from the root."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): path.read_text() for path in files}


def listed(failures: Iterator[str]) -> str:
    """Join failures one a line, so that an assertion shows all of them."""
    return "\n".join(failures)


def without_docstring() -> Iterator[str]:
    for path, text in sources().items():
        if not ast.get_docstring(ast.parse(text)):
            yield f"{path}: no docstring at its top"


def test_every_file_tells_where_it_stands() -> None:
    failures = listed(without_docstring())
    assert not failures, failures


def too_long_files() -> Iterator[str]:
    for path, text in sources().items():
        lines = text.count("\n")
        if lines > FILE_LINES:
            yield f"{path}: {lines} lines, at most {FILE_LINES}"


def test_no_file_is_too_long() -> None:
    failures = listed(too_long_files())
    assert not failures, failures


def length(function: Function) -> int:
    """Count the lines of a function from `def` to its end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def too_long_functions() -> Iterator[str]:
    for path, text in sources().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function) and length(node) > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length(node)} lines, at most {FUNCTION_LINES}"


def test_no_function_is_too_long() -> None:
    failures = listed(too_long_functions())
    assert not failures, failures


def without_tests() -> Iterator[str]:
    """Find packages whose tests are not where the mirror says: emulator/kernel in tests/kernel, tui in tests/tui."""
    for package in sorted({Path(path).parent for path, text in sources().items() if text.strip()}):
        parts = package.parts[1:2] if package.parts[0] == "emulator" else package.parts[:1]
        if not parts:
            continue
        folder = ROOT / "tests" / parts[0]
        if not any(folder.rglob("test_*.py")):
            yield f"{package}: no tests in tests/{parts[0]}/"


def test_every_package_has_its_tests() -> None:
    failures = listed(without_tests())
    assert not failures, failures


def test_import_contracts_hold(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    status = import_linter.lint_imports(no_cache=True)
    assert status == import_linter.EXIT_STATUS_SUCCESS, capsys.readouterr().out


def missing_modules() -> Iterator[str]:
    """Find imports of our own modules that are not there: tests are not type-checked, and late imports run late."""
    files = [path for folder in (*PACKAGES, "tests", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) and not node.level else None
            if module is None or module.split(".")[0] not in (*PACKAGES, "tests"):
                continue
            place = ROOT.joinpath(*module.split("."))
            if not place.with_suffix(".py").is_file() and not place.is_dir():
                yield f"{path.relative_to(ROOT)}:{node.lineno}: there is no {module}"


def test_imports_name_modules_that_are_there() -> None:
    failures = listed(missing_modules())
    assert not failures, failures


def test_packages_say_that_they_are_typed() -> None:
    untyped = [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()]
    assert not untyped
