"""JupyterHub for a class on one machine: docs/classroom.md explains it, tests/classroom/test_hub.py runs it.

    sudo .venv-classroom/bin/jupyterhub --config docs/jupyterhub_config.py

Learners are the machine's own users in the group ``learners``. What is likely to differ from place to
place is in the block of names below.
"""

import grp
import os
import pwd
import resource
import subprocess
import sys
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner

COURSE = Path(__file__).resolve().parents[1]
ENVIRONMENT = Path(sys.prefix)  # .venv-classroom: hub, proxy and the learners' servers
STATE = Path(os.environ.get("DDL_LAB_HUB", "/var/lib/ddl_lab"))  # database and secrets, for root's eyes
ADDRESS = "http://127.0.0.1:8000"  # a web server with a certificate stands in front of it
LEARNERS, TEACHERS = "learners", "teachers"  # groups of the operating system

MOST_BYTES_A_PROCESS = 8 * 2**30  # of data; more is a MemoryError in the learner's cell
MOST_TASKS_A_LEARNER = 1_000  # processes and threads together
NICENESS = 5  # the hub answers even when all learners compute
GPUS: list[str] = []  # indices, or the MIG names of `nvidia-smi -L`: learners are spread over them
IDLE_S = 3_600  # a kernel that does nothing for so long ends; its server, when it has none, as well


class LearnersServer(LocalProcessSpawner):
    """A learner's server: a process of that user, within limits that the operating system keeps."""

    def make_preexec_fn(self, name):
        """What the new process does before it becomes the server."""
        become_learner = super().make_preexec_fn(name)

        def prepare():
            os.nice(NICENESS)
            become_learner()
            os.umask(0o077)
            resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES_A_PROCESS, MOST_BYTES_A_PROCESS))
            resource.setrlimit(resource.RLIMIT_NPROC, (MOST_TASKS_A_LEARNER, MOST_TASKS_A_LEARNER))

        return prepare


HAND_OUT = """
mkdir -p "$1" && cd "$0" || exit 1
test -e "$1/README.md" || test -L "$1/README.md" || cp README.md "$1/README.md" || exit 1
exec "$2" -I -m ddl_lab.learner.copies labs "$1/labs"
"""


def hand_out_labs(spawner):
    """Before a server starts: labs are copied, with README.md; what the learner changed stays."""
    learner = pwd.getpwnam(spawner.user.name)
    folder = Path(learner.pw_dir) / "ddl_course"
    # as the learner, so that a link in a home directory leads root nowhere
    done = subprocess.run(
        ["/bin/sh", "-c", HAND_OUT, COURSE, folder, ENVIRONMENT / "bin/python"],
        user=learner.pw_uid, group=learner.pw_gid, extra_groups=[], umask=0o077, cwd="/",
    )  # fmt: skip
    if done.returncode:  # a full disk, say: the server starts all the same, so that it can be cleared
        spawner.log.warning("some labs could not be copied to %s", folder)
    if GPUS:  # advice to CUDA, no lock: see "GPUs" in docs/classroom.md
        spawner.environment["CUDA_VISIBLE_DEVICES"] = GPUS[learner.pw_uid % len(GPUS)]


c = get_config()  # noqa: F821  (JupyterHub defines it)

c.JupyterHub.bind_url = ADDRESS
STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
c.JupyterHub.db_url = f"sqlite:///{STATE}/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(STATE / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(STATE / "proxy.pid")
c.ConfigurableHTTPProxy.command = [str(ENVIRONMENT / "proxy/node_modules/.bin/configurable-http-proxy")]

c.JupyterHub.authenticator_class = "pam"
existing = {group.gr_name for group in grp.getgrall()}
c.PAMAuthenticator.allowed_groups = {LEARNERS, TEACHERS} & existing
c.PAMAuthenticator.admin_groups = {TEACHERS} & existing

c.JupyterHub.spawner_class = LearnersServer
c.Spawner.cmd = [str(ENVIRONMENT / "bin/jupyterhub-singleuser")]
c.Spawner.environment = {"PATH": f"{ENVIRONMENT / 'bin'}:{os.environ.get('PATH', os.defpath)}"}
c.Spawner.pre_spawn_hook = hand_out_labs
# not "~/ddl_lab": a Python that starts beside a folder of that name takes the folder for the package
c.Spawner.notebook_dir = "~/ddl_course"
c.Spawner.default_url = "/lab/tree/labs/00_start_here.ipynb"
c.Spawner.http_timeout = c.Spawner.start_timeout = 120  # thirty starts at once take their time

c.Spawner.args = [
    # kernels speak over sockets in the learner's own folder: on a port, any user could listen
    "--KernelManager.transport=ipc",
    # the server ends its idle kernels, busy ones never, and then itself
    f"--MappingKernelManager.cull_idle_timeout={IDLE_S}",
    f"--MappingKernelManager.cull_interval={min(300, IDLE_S)}",
    "--MappingKernelManager.cull_connected=True",
    f"--TerminalManager.cull_inactive_timeout={IDLE_S}",
    f"--ServerApp.shutdown_no_activity_timeout={IDLE_S}",
]
