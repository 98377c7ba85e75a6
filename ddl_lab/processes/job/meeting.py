"""How a job's processes find each other: in torchrun's store, under a name that this attempt alone has."""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import threading
import time
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from ...errors import LabError
from ..transports.board import Board, Slot
from ..transports.gloo import GlooEndpoint
from ..watch.interrupts import Flag
from .network import JobEndpoint, NetworkInbox

UNSET = "RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT make this a rank of a job: unset them if it is none."
_PATIENCE_S = 30.0  # for the processes of a job to come together, where nothing else is said
_FOREVER_S = 24 * 3600.0  # torch takes no endless time
_LOOK_S = 0.01  # how often rank 0 looks who has come
_runs = 0  # each run of a script has a place of its own in the job's store
_store: dist.Store | None = None  # the job's, as this attempt has it


def place_in_job() -> tuple[int, int]:
    """This process's rank and the job's size, as its environment has them."""
    given = {name: os.environ[name] for name in ("RANK", "WORLD_SIZE")}
    if all(text.isdecimal() for text in given.values()):
        rank, size = map(int, given.values())
        if rank < size:
            return rank, size
    told = " and ".join(f"{name}={text!r}" for name, text in given.items())
    raise ValueError(f"{told} in the environment: a job has ranks from 0 to WORLD_SIZE-1. {UNSET}")


def join(rank: int, size: int, timeout_s: float | None) -> tuple[JobEndpoint, NetworkInbox]:
    """Meet the other ranks: they are given ``timeout_s``, or for their first run 30 s."""
    global _runs
    patience_s = timeout_s if timeout_s or dist.is_initialized() else _PATIENCE_S
    _runs += 1
    met = Flag()
    found: list[Any] = []
    # torch waits where no interrupt is heard: so in a thread, which is left behind if it waits in vain
    meet = threading.Thread(target=_meet, args=(rank, size, patience_s, found, met), daemon=True)
    meet.start()
    if not met.wait(min(patience_s or _FOREVER_S, _FOREVER_S)) or isinstance(found[0], Exception):
        here = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        why = f" ({str(found[0]).partition(chr(10))[0]})" if found else ""
        if "Unable to find address for" in why and (names := os.environ.get("GLOO_SOCKET_IFNAME")):
            raise LabError(
                f"rank {rank}: GLOO_SOCKET_IFNAME={names} names no interface of this host, or one without an "
                "address: `ip -brief address` lists them."
            )
        raise LabError(
            f"rank {rank} is not joined by all {size} processes of its job (WORLD_SIZE={size}), which meet "
            f"at {here}, within {patience_s:g} s{why}. Start them together, or give them longer by "
            f"timeout_s=. {_own_name(size)}{UNSET}"
        )
    return found[0]


def _own_name(size: int) -> str:
    """What to do on a host whose own name leads back to itself, if that keeps others of the job away."""
    name = socket.gethostname()
    try:
        address = socket.gethostbyname(name)
    except OSError:
        address = "no address"
    reached = not address.startswith("127.") and address != "no address"
    if _is_local(size) or reached:
        return ""
    return (
        f"This host's own name, {name}, has {address} here, by which no other host finds it: start torchrun "
        "with --local-addr and the address that others know, and set GLOO_SOCKET_IFNAME to its interface "
        "(ip -brief address lists both). "
    )


def _is_local(size: int) -> bool:
    """Whether all processes of the job are on this host."""
    return os.environ.get("LOCAL_WORLD_SIZE") == str(size)


def _meet(rank: int, size: int, patience_s: float | None, found: list[Any], met: Flag) -> None:
    """Append to ``found`` this rank's endpoint and inbox, or the error that keeps it from the others."""
    try:
        found.append(_connect(rank, size, _store_of_attempt(rank, size, patience_s)))
    except Exception as error:
        found.append(error)
    met.set()


def _store_of_attempt(rank: int, size: int, patience_s: float | None) -> dist.Store:
    """The job's store under this attempt's own name; torch's default group is made in it, if need be."""
    global _store
    if _store is None:
        begun = dist.is_initialized()
        store = dist.distributed_c10d._get_default_store() if begun else _rendezvous(rank, size, patience_s)
        attempt = dist.PrefixStore(name_of_attempt(store, rank, size), store)
        if not begun:
            forever = timedelta(seconds=_FOREVER_S)
            dist.init_process_group("gloo", store=attempt, rank=rank, world_size=size, timeout=forever)
            atexit.register(dist.destroy_process_group)
        _store = attempt
    return _store


def _rendezvous(rank: int, size: int, patience_s: float | None) -> dist.Store:
    patience = timedelta(seconds=min(patience_s or _FOREVER_S, _FOREVER_S))
    store, _, _ = next(dist.rendezvous("env://", rank, size, timeout=patience))
    store.set_timeout(timedelta(seconds=_FOREVER_S))
    return store


def name_of_attempt(store: dist.Store, rank: int, size: int) -> str:
    """A name that all ranks of this attempt learn, and that none of an earlier attempt knew.

    When ranks die torchrun starts all of them again, and its store keeps what the dead ones wrote: addresses
    at which nobody listens. Its count of restarts is no name, as each host counts its own. So every rank

    1. writes a word of its own in its place, over what an earlier attempt left there;
    2. waits for the answer to that word, which is rank 0's word: the name. Rank 0 answers all that it reads;
    3. says under that name that it has heard. Rank 0 reads again until all have.
    """
    word = secrets.token_hex(8)
    store.set(f"ddl_lab-here-{rank}", word)
    if rank:
        name = store.get(f"ddl_lab-answer-{word}").decode()
        store.set(f"ddl_lab-heard-{name}-{rank}", word)
        return name
    missing = set(range(1, size))
    while missing:
        for other in missing:
            found = store.get(f"ddl_lab-here-{other}").decode()
            store.set(f"ddl_lab-answer-{found}", word)
        time.sleep(_LOOK_S)
        missing = {other for other in missing if not store.check([f"ddl_lab-heard-{word}-{other}"])}
    return word


def _connect(rank: int, size: int, store: dist.Store) -> tuple[JobEndpoint, NetworkInbox]:
    store = dist.PrefixStore(f"ddl_lab-{_runs}", store)
    local = _is_local(size)
    control = GlooEndpoint.connect(dist.PrefixStore("control", store), rank, size, local)
    inbox = NetworkInbox(control, rank)
    memory = bytearray(Board.size(size))
    data = dist.PrefixStore("data", store)
    endpoint = JobEndpoint(rank, size, inbox, Slot(memory, rank), Board(memory, size), data, local)
    return endpoint, inbox
