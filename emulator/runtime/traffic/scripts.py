"""Traffic scripts: a Python file with `async def main(cluster, *, settings...)`, or a traffic file (TOML)."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from emulator.api.traffic.file import read_traffic_file
from emulator.api.traffic.traffic import Scenario
from emulator.errors import PodwireError

if TYPE_CHECKING:
    from emulator.runtime.cluster.cluster import Cluster
    from emulator.runtime.traffic.report import Report

    Main = Callable[..., Awaitable[Report]]

SUFFIXES = (".py", ".toml")


class SettingError(PodwireError):
    """A `--set` that the script does not know."""


class Script(Struct, frozen=True):
    """A script that was read. `settings` are keyword arguments of a Python script's main."""

    path: Path
    main: Main | None = None
    scenario: Scenario | None = None

    async def run(self, cluster: Cluster, settings: dict[str, Any]) -> Report:
        """Run it. PodwireError; whatever a Python script raises."""
        from emulator.runtime.traffic.report import Report
        from emulator.runtime.traffic.stage import run_scenario

        if self.scenario is not None:
            return await run_scenario(cluster, self.scenario)
        assert self.main is not None
        try:
            report = await self.main(cluster, **settings)
        except (PodwireError, OSError):
            raise
        except Exception as error:
            raise _failed(self.path, error) from error
        if not isinstance(report, Report):
            raise PodwireError(f"{self.path}: its main returned no report; end it with: return await load.run()")
        return report

    def settings(self, given: Sequence[str]) -> dict[str, Any]:
        """Return `NAME=VALUE` words as keyword arguments, of the type of their defaults. Raises SettingError."""
        defaults = _settings_of(self.main)
        keywords = {}
        for setting in given:
            name, equals, text = setting.partition("=")
            if not equals or name not in defaults:
                known = ", ".join(defaults) or "none"
                raise SettingError(f"--set {setting}: {self.path.name} has no such setting; it has: {known}")
            kind = str if defaults[name] is None else type(defaults[name])
            try:
                keywords[name] = _BOOLEANS[text.lower()] if kind is bool else kind(text)
            except (ValueError, KeyError, TypeError):
                raise SettingError(f"--set {setting}: not of the type {kind.__name__}") from None
        return keywords


_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _settings_of(main: Main | None) -> dict[str, Any]:
    """Return the settings of a Python script with their defaults."""
    if main is None:
        return {}
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(main).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is not inspect.Parameter.empty
    }


def load_script(path: Path) -> Script:
    """Read a script. ManifestError with all that is wrong with a traffic file, PodwireError for a Python file."""
    if path.suffix == ".toml":
        return Script(path, scenario=read_traffic_file(path))
    if path.suffix != ".py":
        raise PodwireError(f"{path}: no traffic script; its name must end in {' or '.join(SUFFIXES)}")
    return Script(path, main=_load_main(path))


def _failed(path: Path, error: BaseException) -> PodwireError:
    """Tell what a script met, and in which of its lines; groups that hold one exception are that one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, PodwireError):
        return error
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = f":{lines[-1]}" if lines else ""
    return PodwireError(f"{path}{line}: {''.join(traceback.format_exception_only(error)).strip()}")


def _load_main(path: Path) -> Main:
    """Return the `main` of a Python script."""
    spec = importlib.util.spec_from_file_location("podwire_traffic_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise PodwireError(f"{path}{f':{error.lineno}' if error.lineno else ''}: {error.msg}") from None
    except PodwireError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(path, error) from error
    main: Main | None = getattr(module, "main", None)
    if not inspect.iscoroutinefunction(main):
        raise PodwireError(f"{path}: has no `async def main(cluster)`")
    return main
