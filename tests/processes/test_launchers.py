"""The files of docs/cluster: one worker file, started as Slurm, Kubernetes, Ray and Dask start it."""

import os
import re
import subprocess
import sys
import tempfile

import psutil
import pytest
import yaml
from beside import place  # noqa: F401  (a fixture)
from clusters import CLUSTER, alone, directives, sbatch, the_same  # noqa: F401  (alone is a fixture)
from jobs import ROOT, free_port
from waiting import wait_until

from ddl_lab.frameworks.environments import ENVIRONMENTS
from ddl_lab.processes.plan import is_rank

PAGE = (ROOT / "docs" / "cluster.md").read_text()


def test_alone_it_learns(alone):  # noqa: F811
    assert alone.nodes == 4 and alone.metrics.accuracy.iloc[-1] > 0.85


# Slurm

KNOWN = {"job-name", "nodes", "ntasks-per-node", "cpus-per-task", "time"}  # of sbatch's many, those used here
SCRIPTS = sorted(CLUSTER.glob("*.sbatch"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_batch_script_asks_in_the_lines_that_slurm_reads(script):
    text = script.read_text()
    assert text.startswith("#!/bin/bash\n") and set(directives(script)) == KNOWN
    first = next(k for k, line in enumerate(text.splitlines()) if line and not line.startswith("#"))
    assert all("#SBATCH" not in line for line in text.splitlines()[first:]), "Slurm stops reading there"
    assert subprocess.run(["bash", "-n", script]).returncode == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_batch_script_trains_what_one_machine_trains(script, alone, tmp_path):  # noqa: F811
    done = sbatch(script, tmp_path / "job.npz", folder=tmp_path, GLOO_SOCKET_IFNAME="lo")
    assert done.returncode == 0, done.stderr
    assert "4 ranks: " in done.stdout
    the_same(tmp_path / "job.npz", alone)


def test_slurms_own_variables_make_no_rank(monkeypatch):
    """What the script exports is needed, and is enough."""
    for name, value in {"PROCID": 1, "NTASKS": 4, "LOCALID": 1, "NODEID": 0, "JOB_ID": 7}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert not is_rank()
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    assert is_rank()


# Kubernetes: the fields that the manifest may use, as its API has them, and of what kind each is

META = {"name": str}
CONTAINER = {
    "name": str,
    "image": str,
    "command": [str],
    "args": [str],
    "env": [{"name": str, "value": str}],
    "resources": {"requests": {"cpu": str, "memory": str}},
    "volumeMounts": [{"name": str, "mountPath": str, "readOnly": bool}],
}
POD = {
    "subdomain": str,
    "restartPolicy": str,
    "containers": [CONTAINER],
    "volumes": [{"name": str, "configMap": {"name": str}}],
}
FIELDS = {
    "Service": {
        "apiVersion": str,
        "kind": str,
        "metadata": META,
        "spec": {"clusterIP": str, "publishNotReadyAddresses": bool, "selector": {"job-name": str}},
    },
    "Job": {
        "apiVersion": str,
        "kind": str,
        "metadata": META,
        "spec": {
            "completionMode": str,
            "completions": int,
            "parallelism": int,
            "backoffLimit": int,
            "template": {"spec": POD},
        },
    },
}


@pytest.fixture
def manifest():
    """Both documents by their kind."""
    found = list(yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text()))
    return {document["kind"]: document for document in found}


def misfits(value, field, where=""):
    """Where a value is of another kind than its field, or a field isn't known."""
    if isinstance(field, dict):
        if not isinstance(value, dict):
            return [where]
        unknown = [f"{where}.{name}" for name in value.keys() - field.keys()]
        return unknown + [
            m
            for name in value.keys() & field.keys()
            for m in misfits(value[name], field[name], f"{where}.{name}")
        ]
    if isinstance(field, list):
        return (
            [m for each in value for m in misfits(each, field[0], where)]
            if isinstance(value, list)
            else [where]
        )
    return [] if type(value) is field else [where]


def test_the_manifest_has_the_apis_own_kinds_and_fields_only(manifest):
    assert manifest.keys() == {"Service", "Job"}
    assert (manifest["Service"]["apiVersion"], manifest["Job"]["apiVersion"]) == ("v1", "batch/v1")
    for kind, document in manifest.items():
        assert misfits(document, FIELDS[kind], kind) == []


def test_the_manifest_is_as_kubernetes_validate_wants_it(manifest):
    validator = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate isn't installed (111 MB)"
    )
    for document in manifest.values():
        for version in validator.utils.all_versions()[-3:]:
            validator.validate(document, version, strict=True)


def test_the_parts_of_the_manifest_agree(manifest):
    service, job = manifest["Service"], manifest["Job"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    told = {entry["name"]: entry["value"] for entry in container["env"]}
    name = manifest["Job"]["metadata"]["name"]
    assert job["completionMode"] == "Indexed" and job["parallelism"] == job["completions"], "all run at once"
    assert told["WORLD_SIZE"] == str(job["completions"])
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["selector"] == {"job-name": name}
    assert pod["subdomain"] == service["metadata"]["name"]
    assert told["MASTER_ADDR"] == f"{name}-0.{pod['subdomain']}", "as an Indexed Job names pod 0"
    assert pod["restartPolicy"] == "Never" and job["backoffLimit"] == 0, "a rank that comes back finds no one"
    assert {mount["name"] for mount in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


def test_its_pods_train_what_one_machine_trains(manifest, alone, tmp_path):  # noqa: F811
    (container,) = manifest["Job"]["spec"]["template"]["spec"]["containers"]
    told = {entry["name"]: entry["value"] for entry in container["env"]}
    told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "GLOO_SOCKET_IFNAME": "lo"}
    command = [word.replace("/train/", f"{CLUSTER}/") for word in container["command"]]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    pods = []
    for index in range(manifest["Job"]["spec"]["completions"]):
        environ = (
            os.environ | told | {"JOB_COMPLETION_INDEX": str(index), "PATH": path, "PYTHONPATH": str(ROOT)}
        )
        pods.append(
            subprocess.Popen([*command, str(tmp_path / "job.npz")], env=environ, stderr=subprocess.PIPE)
        )
    said = [pod.communicate(timeout=150)[1] for pod in pods]
    assert [pod.returncode for pod in pods] == [0] * 4, said
    the_same(tmp_path / "job.npz", alone)


# Ray and Dask: where their environments of lab 17 are, or where the course's own has them


def python_with(name):
    """An interpreter that has it; the test skips where there is none."""
    for python in (ENVIRONMENTS[name].python, sys.executable):
        found = os.path.exists(python) and subprocess.run(
            [python, "-c", f"import {name}"], capture_output=True
        )
        if found and found.returncode == 0:
            return str(python)
    return pytest.skip(f"{name} isn't installed: lab.frameworks.{name}.install()")


def launched(name, *command):
    """A launcher's file with four ranks of this command; how it ended, with what it said."""
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    words = [python_with(name), f"with_{name}.py", "4", sys.executable, *map(str, command)]
    with tempfile.TemporaryDirectory(prefix="r") as short:  # Ray's sockets have no long names
        environ = os.environ | quiet | {"RAY_TMPDIR": short, "TMPDIR": short}
        done = subprocess.run(words, cwd=CLUSTER, env=environ, capture_output=True, text=True, timeout=240)
    if "timed out during startup" in done.stderr:  # which Ray gives itself 30 s for
        pytest.skip(f"this machine is too busy for {name} to start")
    return done


@pytest.mark.parametrize("name", ["ray", "dask"])
def test_tasks_that_are_told_who_they_are_train_what_one_machine_trains(name, place, alone, tmp_path):  # noqa: F811
    done = launched(name, CLUSTER / "train.py", tmp_path / "job.npz")
    assert done.returncode == 0, done.stderr[-3000:]
    the_same(tmp_path / "job.npz", alone)


FAILS = """
import os
import torch
import ddl_lab as lab

def worker(node):
    if node.rank == 2:
        raise ValueError("no such thing")
    node.all_reduce(torch.zeros(2))

lab.run(worker, nodes=int(os.environ["WORLD_SIZE"]), progress=False)
"""


@pytest.mark.parametrize("name", ["ray", "dask"])
def test_a_rank_that_fails_is_named_and_nobody_waits_for_it(name, place, tmp_path):  # noqa: F811
    script = tmp_path / "fails.py"
    script.write_text(FAILS)
    done = launched(name, script)
    assert done.returncode and "rank 2 raised ValueError: no such thing" in done.stdout + done.stderr
    wait_until(lambda: not ranks_of(script), "some of its ranks still wait")


def ranks_of(script):
    """The processes whose command names this script."""
    found = psutil.process_iter(["cmdline"])
    return [each.pid for each in found if str(script) in (each.info["cmdline"] or [])]


# the page


def test_the_page_names_every_file_and_every_file_is_there():
    linked = set(re.findall(r"\]\(cluster/([\w.]+)\)", PAGE))
    assert linked == {path.name for path in CLUSTER.iterdir() if path.is_file()}


def test_what_the_page_quotes_stands_in_the_files():
    quoted = re.findall(r"```(?:bash|yaml) ([\w.]+)\n(.*?)```", PAGE, re.S)
    assert quoted
    for name, lines in quoted:
        assert lines.strip() in (CLUSTER / name).read_text(), name
