"""Where the code of `podwire/app` comes from: the directories of the cluster's app path, anew for each container.

Each container has a copy of its module and of what that imports from the app path, as separate processes would have:
globals are no channel between pods, and a container that starts again runs the code that lies on the disk then.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType, ModuleType

from emulator.api.app_annotation import FORM, AppName, parse_app_name
from emulator.errors import PodwireError

AppFunction = Callable[..., Awaitable[object]]

_RESERVED = sys.stdlib_module_names | {"emulator", "trio", "tui"}


class AppError(PodwireError):
    """An app that cannot be run; the message says what to do."""


def load(text: str, app_path: Sequence[Path]) -> AppFunction:
    """Import a function, named "module:function", from the app path. AppError; whatever the module raises itself."""
    name = parse_app_name(text)
    if name is None:
        raise AppError(f'"{text}" is not "{FORM}"')
    top = name.module.partition(".")[0]
    where = ", ".join(map(str, app_path)) or "the app path, which is empty: set [cluster] app_path"
    if top in _RESERVED:
        raise AppError(f"module {top} would hide Python's or Podwire's own; give the file another name")
    with _fresh_imports(top, app_path):
        spec = _find(top, app_path)
        if spec is None:
            raise AppError(f"there is no {top}.py in {where}")
        _import(spec)  # before any other finder is asked, whatever else is installed under its name
        module = importlib.import_module(name.module)
    return _function(module, name)


def is_app_file(path: str, app_path: Sequence[Path]) -> bool:
    """Whether a file of code lies in the app path."""
    return any(Path(path).is_relative_to(directory) for directory in app_path)


def _function(module: ModuleType, name: AppName) -> AppFunction:
    place = Path(module.__file__ or name.module).name
    function = getattr(module, name.function, None)
    if function is None:
        known = ", ".join(sorted(key for key, value in vars(module).items() if inspect.iscoroutinefunction(value)))
        raise AppError(f"{place} has no {name.function}; its async functions: {known or 'none'}")
    if not inspect.iscoroutinefunction(function):
        raise AppError(f'{place}: {name.function} is no async function; write "async def {name.function}(container):"')
    checked: AppFunction = function
    return checked


def _import(spec: ModuleSpec) -> None:
    module = sys.modules[spec.name] = module_from_spec(spec)
    assert spec.loader is not None
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise


class _Loader(SourceFileLoader):
    """Compiles the source each time: what a cache says of a file that changed within a second may be wrong."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Finder(MetaPathFinder):
    """Finds modules of the app path; the parts of packages first of all finders, other modules last."""

    def __init__(self, app_path: Sequence[Path], *, parts: bool) -> None:
        self._app_path = app_path
        self._parts = parts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self._parts != (path is not None):
            return None
        directories = [Path(entry) for entry in path or () if is_app_file(entry, self._app_path)]
        return _find(fullname, directories if self._parts else self._app_path)


def _find(fullname: str, directories: Sequence[Path]) -> ModuleSpec | None:
    for directory in directories:
        spec = FileFinder(str(directory), (_Loader, SOURCE_SUFFIXES)).find_spec(fullname)
        if spec is not None and spec.loader is not None:
            return spec
    return None


@contextmanager
def _fresh_imports(top: str, app_path: Sequence[Path]) -> Iterator[None]:
    """Import a package or module `top` of the app path in the block, and what belongs to it there, all of it anew.

    A test may have imported `top` itself: its module is its own, and is back in its place afterwards.
    """
    set_aside = {}
    for name, module in list(sys.modules.items()):
        if isinstance(getattr(module, "__loader__", None), _Loader):
            del sys.modules[name]
        elif name.partition(".")[0] == top:
            set_aside[name] = sys.modules.pop(name)
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    sys.meta_path.insert(0, _Finder(app_path, parts=True))
    sys.meta_path.append(_Finder(app_path, parts=False))
    try:
        yield
    finally:
        sys.modules.update(set_aside)
