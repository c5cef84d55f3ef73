"""What chains remember of the table around them is never better than what a look at the whole table finds."""

import random
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.error import KernelError, RestoreError
from emulator.kernel.netfilter.iptables.draft import Draft
from emulator.kernel.netfilter.iptables.edit import Edit
from emulator.kernel.netfilter.iptables.reach import check_whole, settle
from emulator.kernel.netfilter.iptables.restore import Restorer
from emulator.kernel.netfilter.netfilter import Netfilter
from emulator.kernel.netns import Netns

USERS = [f"C{number}" for number in range(6)]
RULES = [*(f"-j {name}" for name in USERS), "-j MASQUERADE", "-j DNAT --to-destination 10.0.0.1", "-j ACCEPT"]
RULES += ["-m recent --name seen --set", "-m recent --name other --set -j RETURN"]
CHAIN = st.sampled_from([*USERS, "PREROUTING", "POSTROUTING"])
LINE = st.one_of(
    st.builds("-A {} {}".format, CHAIN, st.sampled_from(RULES)),
    st.builds("-I {} 1 {}".format, CHAIN, st.sampled_from(RULES)),
    st.builds("-R {} 1 {}".format, CHAIN, st.sampled_from(RULES)),
    st.builds("-D {} 1".format, CHAIN),
    st.builds(":{} - [0:0]".format, st.sampled_from(USERS)),
    st.builds("-X {}".format, st.sampled_from(USERS)),
    st.builds("-E {} {}".format, st.sampled_from(USERS), st.sampled_from(USERS)),
    st.builds("-F {}".format, CHAIN),
)


class Watched(Restorer):
    """Holds the quick look against the slow one before each commit."""

    def _commit(self, edit: Edit) -> None:
        right = True
        try:
            check_whole(edit.table, edit.chains)
        except KernelError:
            right = False
        if settle(edit.chains, edit._jumps) and not edit._renamed:
            assert right
        super()._commit(edit)


def check_counts(netfilter: Netfilter) -> None:
    chains = netfilter.tables["nat"].chains
    rules = [rule for chain in chains.values() for rule in chain.rules]
    for name, chain in chains.items():
        assert chain.users == sum(rule.spec.jump == name for rule in rules)
        assert chain.table is netfilter.tables["nat"]
    names = {match.list_name for rule in rules for match in rule.spec.matches if match.name == "recent"}
    assert netfilter.recent.keys() == names


@example([["-A C3 -j C5"], ["-D C3 1", "-X C5", ":C5 - [0:0]"]])
@given(st.lists(st.lists(LINE, min_size=1, max_size=6), max_size=12))
def test_the_quick_look_accepts_nothing_that_the_slow_one_refuses(texts: list[list[str]]):
    netfilter = Netns(Kernel("k", random.Random(1)), "root").netfilter
    netfilter.restore("*nat\n" + "".join(f":{name} - [0:0]\n" for name in USERS) + "COMMIT\n")
    for lines in texts:
        restorer = Watched(netfilter, noflush=True, counters=False, only=None)
        before = netfilter.save("nat")
        try:
            restorer.run("\n".join(("*nat", *lines, "COMMIT", "")))
        except RestoreError:
            assert netfilter.save("nat") == before
        check_counts(netfilter)
        fresh = Netns(Kernel("k", random.Random(1)), "root").netfilter
        fresh.restore(netfilter.save("nat"))
        assert fresh.save("nat") == netfilter.save("nat")


def test_a_change_copies_only_the_chains_that_it_changes():
    netfilter = Netns(Kernel("k", random.Random(1)), "root").netfilter
    chains = "".join(f":S{number} - [0:0]\n" for number in range(100))
    jumps = "".join(f"-A PREROUTING -j S{number}\n" for number in range(100))
    netfilter.restore(f"*nat\n{chains}{jumps}COMMIT\n")
    edit = Edit(netfilter, "nat")
    edit.declare("S7", "-", (0, 0))
    edit.new_chain("T")
    assert isinstance(edit.chains, Draft)
    assert edit.chains.own.keys() == {"S7", "T"}
    with suppress(KernelError):
        edit.delete_chain("S8")
    assert "S8" in edit.chains


def test_a_bound_that_is_left_too_high_refuses_nothing():
    """The masquerading rule went, so that its chain may be reached from PREROUTING."""
    netfilter = Netns(Kernel("k", random.Random(1)), "root").netfilter
    netfilter.restore("*nat\n:A - [0:0]\n:B - [0:0]\n-A B -j A\n-A A -j MASQUERADE\nCOMMIT\n", noflush=True)
    netfilter.restore("*nat\n-F A\nCOMMIT\n", noflush=True)
    netfilter.restore("*nat\n-A PREROUTING -j B\nCOMMIT\n", noflush=True)
    assert "-A PREROUTING -j B" in netfilter.save("nat")
