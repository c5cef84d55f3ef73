"""A shell's variables: values, which of them are exported or read only, and those that are local to a function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from emulator.apps.shell.expansion import ExpansionError


class Variable(Struct, frozen=True):
    """`value` is None where a name is only marked."""

    value: str | None = None
    exported: bool = False
    read_only: bool = False


_NONE = Variable()


class Variables:
    """Variables by name."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = {name: Variable(value, exported=True) for name, value in environ.items()}
        self._scopes: list[dict[str, Variable]] = []

    def copy(self) -> Variables:
        """Return those of a child."""
        child = Variables({})
        child._values = dict(self._values)
        child._scopes = [dict(scope) for scope in self._scopes]
        return child

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._values))

    def get(self, name: str) -> str | None:
        """Return a value."""
        return self._values.get(name, _NONE).value

    def of(self, name: str) -> Variable:
        """Return all that is known of a name."""
        return self._values.get(name, _NONE)

    def set(self, name: str, value: str, *, exported: bool = False) -> None:
        """Set a variable. ExpansionError where it is read only."""
        before = self._values.get(name, _NONE)
        if before.read_only:
            raise ExpansionError(f"{name}: is read only")
        self._values[name] = Variable(value, exported or before.exported)

    def unset(self, name: str) -> None:
        """Forget a variable. ExpansionError where it is read only."""
        if self._values.get(name, _NONE).read_only:
            raise ExpansionError(f"{name}: is read only")
        self._values.pop(name, None)

    def mark(self, name: str, *, exported: bool | None = None, read_only: bool = False) -> None:
        """Mark a name."""
        variable = self._values.get(name, _NONE)
        self._values[name] = replace(
            variable,
            exported=variable.exported if exported is None else exported,
            read_only=variable.read_only or read_only,
        )

    def environment(self) -> dict[str, str]:
        """Return what programs get."""
        return {name: each.value for name, each in self._values.items() if each.exported and each.value is not None}

    def put_back(self, before: Mapping[str, Variable]) -> None:
        """Have variables be as `of` said that they were."""
        for name, variable in before.items():
            if variable == _NONE:
                self._values.pop(name, None)
            else:
                self._values[name] = variable

    # --- functions ---

    def enter(self) -> None:
        """Begin a function."""
        self._scopes.append({})

    def leave(self) -> None:
        """End it: what was local to it is as it was before."""
        self.put_back(self._scopes.pop())

    @property
    def in_function(self) -> bool:
        """Whether there is something to be local to."""
        return bool(self._scopes)

    def make_local(self, name: str) -> None:
        """Have a variable be as it is now when the function ends."""
        self._scopes[-1].setdefault(name, self._values.get(name, _NONE))
