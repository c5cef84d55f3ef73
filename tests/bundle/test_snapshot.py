"""scripts/snapshot-node without root: usage, and what it passes on. The kernel oracle saves real namespaces with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SNAPSHOT = Path(__file__).parents[2] / "scripts" / "snapshot-node"


def snapshot(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]}
    return subprocess.run(
        ["sh", str(SNAPSHOT), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("arguments", [["--netns"], ["--netns", ""], ["--netns="], ["--nosuch"], ["a", "b"]])
def test_usage(arguments: list[str]) -> None:
    """An empty namespace is refused: the machine's own state would be saved in its place."""
    done = snapshot(*arguments)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None, reason="needs iproute2")
def test_rules_of_the_other_kind_are_warned_of(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    tool = tools / "iptables-save"
    tool.write_text(
        "#!/bin/sh\necho '# Warning: iptables-legacy tables present, use iptables-legacy-save to see them' >&2\n"
    )
    tool.chmod(0o755)
    done = snapshot(str(tmp_path / "node"), path=str(tools))
    assert "snapshot-node: warning: iptables-legacy tables present, use iptables-legacy-save" in done.stderr
    assert done.stdout == f"{tmp_path}/node\n"
    assert not (tmp_path / "node" / ".errors").exists()
