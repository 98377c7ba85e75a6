"""Two hosts, as two namespaces of this machine's network: each is found by its address, not by its name."""

import os
import shutil
import subprocess

import pytest
import torch
from clusters import CLUSTER, alone, sbatch, the_same  # noqa: F401  (alone is a fixture)
from jobs import GOES_ON, agent, ended, killed, started

pytestmark = pytest.mark.skipif(
    shutil.which("ip") is None or os.geteuid() != 0, reason="needs root and ip: it makes network namespaces"
)
ADDRESSES = ["10.203.7.1", "10.203.7.2"]


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


@pytest.fixture
def hosts():
    """The names of two namespaces, whose interfaces (of the same names) are joined by a cable."""
    names = [f"ddl{os.getpid()}{side}"[-15:] for side in "ab"]
    try:
        for name in names:
            if (made := ip("netns", "add", name, check=False)).returncode:
                pytest.skip(f"no network namespaces can be made here: {made.stderr.strip()}")
        cable = ip("link", "add", "name", names[0], "type", "veth", "peer", "name", names[1], check=False)
        if cable.returncode:
            pytest.skip(f"no veth can be made here: {cable.stderr.strip()}")
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("link", "set", name, "netns", name)
            ip("-n", name, "address", "add", f"{address}/24", "dev", name)
            for device in (name, "lo"):
                ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            ip("netns", "delete", name, check=False)


def on_hosts(hosts, script, *arguments, ranks, options=()):
    """A torchrun on both, as the page has it for hosts whose own name leads to themselves; how they ended."""
    agents = []
    for name, address in zip(hosts, ADDRESSES, strict=True):
        first = str(name == hosts[0]).lower()
        place = ["--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint={ADDRESSES[0]}:29400"]
        place += [f"--rdzv-conf=is_host={first}", f"--local-addr={address}", *options]
        command = ["ip", "netns", "exec", name, *agent(script, *arguments, ranks=ranks, options=place)]
        agents.append(started(command, GLOO_SOCKET_IFNAME=name))
    return ended(agents)


def test_two_hosts_train_together_and_go_on_after_one_has_lost_a_rank(hosts, tmp_path):
    script = tmp_path / "goes_on.py"
    script.write_text(GOES_ON)
    done = on_hosts(hosts, script, tmp_path, "4-1", ranks=1, options=["--max-restarts=2"])
    assert done.returncode == 0, done.stderr
    assert killed(tmp_path) == ["4-1"]
    one, other = torch.load(tmp_path / "results.pt")
    whole = sum(torch.rand(3, generator=torch.Generator().manual_seed(step)) for step in range(9)) * 1.5
    assert torch.equal(one, other) and torch.allclose(one, whole, rtol=1e-5)


def test_under_torchrun_two_hosts_train_what_one_machine_trains(hosts, alone, tmp_path):  # noqa: F811
    done = on_hosts(hosts, CLUSTER / "train.py", tmp_path / "job.npz", ranks=2)
    assert done.returncode == 0, done.stderr
    the_same(tmp_path / "job.npz", alone)


def test_under_slurm_two_hosts_train_what_one_machine_trains(hosts, alone, tmp_path):  # noqa: F811
    places = [f"ip netns exec {name} env GLOO_SOCKET_IFNAME={name}" for name in hosts]
    script, told = CLUSTER / "slurm.sbatch", {"TEST_PLACES": ";".join(places)}
    done = sbatch(script, tmp_path / "job.npz", folder=tmp_path, hosts=ADDRESSES, **told)
    assert done.returncode == 0, done.stderr
    the_same(tmp_path / "job.npz", alone)


def test_the_page_tells_what_was_run():
    page = (CLUSTER.parent / "cluster.md").read_text()
    for option in ("--nnodes 2", "--rdzv-backend c10d", "--rdzv-endpoint", "is_host=true", "--local-addr"):
        assert option in page, option
