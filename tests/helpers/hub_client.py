"""A JupyterHub of the configuration in docs/, users of the system, and learners who sit at it."""

import contextlib
import json
import os
import pwd
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request

import psutil
import websocket
from classroom import ROOT, environment

PATIENCE_S = 300  # where two cores have other work as well; idle, nothing here takes ten
TESTING = """
import os
load_subconfig("{root}/docs/jupyterhub_config.py")
c.JupyterHub.bind_url = "http://127.0.0.1:{ports[0]}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{ports[1]}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{ports[2]}"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = c.ConfigurableHTTPProxy.auth_token = os.environ["OF_THE_TEST"]
c.Authenticator.allowed_users = {users}
c.JupyterHub.services = [{{"name": "test", "api_token": os.environ["OF_THE_TEST"]}}]
scopes = ["admin:users", "admin:servers", "tokens"]
c.JupyterHub.load_roles = [{{"name": "test", "scopes": scopes, "services": ["test"]}}]

before = c.Spawner.pre_spawn_hook
before.__globals__["GPUS"] += ["0", "1"]
def hurried(spawner):
    before(spawner)
    if spawner.user.name.endswith("c"):  # an hour without work lasts three seconds for this one's kernels
        hurry = [("cull_idle_timeout=3600", "cull_idle_timeout=3"), ("cull_interval=300", "cull_interval=1")]
        for usual, soon in hurry:
            assert any(usual in told for told in spawner.args)
            spawner.args = [told.replace(usual, soon) for told in spawner.args]
c.Spawner.pre_spawn_hook = hurried
"""


def eventually(what, seconds, ask):
    """The first true answer of ``ask``; fails with ``what`` when there was none for so long."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"in {seconds} s: {what}"
        time.sleep(0.1)
    return answer


def http(method, address, token, body=None):
    """(status, JSON or text) of a request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Authorization": f"token {token}"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            status, text = reply.status, reply.read().decode()
    except urllib.error.HTTPError as refusal:
        status, text = refusal.code, refusal.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def free_ports(count):
    """Ports that nobody listens on, all different."""
    found = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [sock.getsockname()[1] for sock in found]
    for sock in found:
        sock.close()
    return numbers


class Hub:
    """A JupyterHub of the configuration in docs/, on free ports, that lets ``users`` in."""

    def __init__(self, folder, users):
        self.ports, self.token = free_ports(3), secrets.token_hex(16)
        self.address = f"http://127.0.0.1:{self.ports[0]}/hub/api"
        config = folder / "jupyterhub_config.py"
        config.write_text(TESTING.format(root=ROOT, ports=self.ports, users=set(users)))
        self.log = folder / "hub.log"
        command = [environment() / "bin/jupyterhub", "--config", config]
        own = os.environ | {"DDL_LAB_HUB": str(folder / "state"), "OF_THE_TEST": self.token}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=own, stdout=log, stderr=log)

    def wait(self):
        """Until the Hub itself answers; the proxy in front of it does earlier."""
        eventually(f"the Hub started: {self.log.read_text()[-2000:]}", PATIENCE_S, self._healthy)

    def _healthy(self):
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return http("GET", self.address.replace("/api", "/health"), "")[0] == 200
        except OSError:
            return False

    def ask(self, method, path, body=None, token=None):
        """(status, answer) of the Hub's API."""
        return http(method, self.address + path, token or self.token, body)

    def close(self):
        """End the Hub, its proxy and all servers."""
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Learner:
    """A user of the Hub, with a token of their own and a server."""

    def __init__(self, hub, name):
        self.hub, self.name = hub, name
        assert hub.ask("POST", f"/users/{name}")[0] in (201, 409)
        self.token = hub.ask("POST", f"/users/{name}/tokens", {})[1]["token"]
        self.address = f"http://127.0.0.1:{hub.ports[0]}/user/{name}"

    def start(self):
        """Start the server and wait until it answers."""
        assert self.hub.ask("POST", f"/users/{self.name}/server", token=self.token)[0] in (201, 202)
        eventually(f"the server of {self.name} started", PATIENCE_S, lambda: self._server().get("ready"))

    def _server(self):
        return self.hub.ask("GET", f"/users/{self.name}", token=self.token)[1]["servers"].get("", {})

    def stop(self):
        """End the server."""
        assert self.hub.ask("DELETE", f"/users/{self.name}/server", token=self.token)[0] in (202, 204)
        eventually(f"the server of {self.name} ended", PATIENCE_S, lambda: not self._server())

    def ask(self, method, path, body=None, of=None):
        """(status, answer) of this learner's server, or of another's, always with this one's token."""
        return http(method, (of or self).address + path, self.token, body)

    def kernels(self):
        """The ids of the kernels that this learner's server has."""
        return {kernel["id"] for kernel in self.ask("GET", "/api/kernels")[1]}


class Kernel:
    """A kernel on a learner's server, opened over the server's API."""

    def __init__(self, learner):
        status, model = learner.ask("POST", "/api/kernels", {"name": "python3"})
        assert status == 201, model
        self.learner, self.id = learner, model["id"]
        self.socket = channels(learner, learner, self.id)

    def send(self, code):
        """Ask for ``code`` to be run; return the request's id at once."""
        asked, session = secrets.token_hex(8), secrets.token_hex(8)
        header = {"msg_id": asked, "msg_type": "execute_request", "session": session, "version": "5.3"}
        header |= {"username": self.learner.name, "date": "2026-01-01T00:00:00Z"}
        content = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps(message | {"channel": "shell", "buffers": []}))
        return asked

    def run(self, code):
        """What ``code`` prints; raises ``RuntimeError`` with the traceback of an error."""
        return self.wait_for(self.send(code))

    def wait_for(self, asked):
        """The same, of a request that was sent before."""
        printed, error = "", None
        while True:
            message = json.loads(self.socket.recv())
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != asked:
                continue
            if kind == "stream" and content["name"] == "stdout":
                printed += content["text"]
            if kind == "error":
                error = RuntimeError("\n".join(content["traceback"]))
            if kind == "status" and content["execution_state"] == "idle":
                if error:
                    raise error
                return printed

    def close(self):
        self.socket.close()


def channels(visitor, host, kernel_id):
    """A web socket to a kernel on the server of ``host``, opened with the token of ``visitor``."""
    address = f"{host.address.replace('http', 'ws', 1)}/api/kernels/{kernel_id}/channels"
    token = f"Authorization: token {visitor.token}"
    return websocket.create_connection(address, header=[token], timeout=PATIENCE_S)


def processes(*names):
    """All processes that run as one of these users."""
    users = {pwd.getpwnam(name).pw_uid for name in names}
    return [p for p in psutil.process_iter(["uids"]) if p.info["uids"] and p.info["uids"].real in users]


@contextlib.contextmanager
def users(letters):
    """Users of the operating system, one for each letter, which their names end with."""
    names = []
    try:
        for letter in letters:
            names.append(f"ddl{secrets.token_hex(3)}{letter}")
            subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", names[-1]], check=True)
        yield names
    finally:
        # --force: also where a process of theirs is left, which the test of the Hub's end complains of
        for name in names:
            subprocess.run(["userdel", "--force", "--remove", name], stderr=subprocess.DEVNULL)


def port_of(learner):
    """The port on which the learner's server listens behind the proxy."""
    (port,) = [
        c.laddr.port
        for process in processes(learner.name)
        if "jupyterhub-singleuser" in " ".join(process.cmdline())
        for c in process.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    ]
    return port
