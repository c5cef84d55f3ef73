"""The sysctls of connection tracking: the names and defaults of this kernel, and what it refuses."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from emulator.kernel.sysctl import SysctlError
from tests.kernel_oracle.netfilter_bed import RouterBed

pytestmark = pytest.mark.kernel

PREFIX = "net.netfilter.nf_conntrack_"


@pytest.fixture(scope="module")
def bed() -> Iterator[RouterBed]:
    with RouterBed() as testbed:
        yield testbed.build("*filter\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n")


def test_names_and_defaults(bed: RouterBed) -> None:
    lines = bed.execute("sysctl", "-a", "-r", "^net.netfilter.nf_conntrack_").splitlines()
    real = dict(line.split(" = ") for line in lines)
    emulated = {name: bed.ns.sysctl.get(name) for name in bed.ns.sysctl.names() if name.startswith(PREFIX)}
    assert emulated == real


# "max" and "expect_max" are left out: only the first namespace may set them, which is what a machine's own is here.
NAMES = "acct checksum count events log_invalid timestamp tcp_be_liberal tcp_ignore_invalid_rst tcp_loose"
NAMES += " tcp_max_retrans udp_timeout tcp_timeout_close sctp_timeout_closed icmp_timeout"


@pytest.mark.parametrize("name", NAMES.split())
@pytest.mark.parametrize("value", ["-5", "0", "1", "2", "3", "255", "256", "70000", "many", ""])
def test_the_same_values_are_taken(bed: RouterBed, name: str, value: str) -> None:
    done = subprocess.run(
        ("ip", "netns", "exec", bed.name, "sysctl", "-w", f"{PREFIX}{name}={value}"),
        check=False,
        capture_output=True,
        text=True,
    )
    before = bed.ns.sysctl.get(PREFIX + name)
    if done.returncode or done.stderr:
        with pytest.raises(SysctlError) as caught:
            bed.ns.sysctl.set(PREFIX + name, value)
        assert (str(caught.value), bed.ns.sysctl.get(PREFIX + name)) == (done.stderr.strip(), before)
    else:
        bed.ns.sysctl.set(PREFIX + name, value)
        assert bed.execute("sysctl", "-n", PREFIX + name).strip() == bed.ns.sysctl.get(PREFIX + name)
