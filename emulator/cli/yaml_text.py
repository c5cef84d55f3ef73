"""Objects as YAML, as kubectl prints them; PyYAML is imported only here."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stand as blocks; what occurs twice is written twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Make no anchors."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def yaml_text(value: Any) -> str:
    """Return one YAML document: keys sorted, no anchors, lines as long as they are."""
    return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True, default_flow_style=False, width=2**20))
