"""Saving so that a death at any moment leaves a whole file."""

import io
import os
import shutil
import tempfile
from os import fsync, replace
from pathlib import Path

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_14 as exercise


def by_pathlib(state, path):
    path = Path(path)
    beside = path.with_suffix(".tmp")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        fsync(file)
    beside.replace(path)


def by_mkstemp(state, path):
    handle, name = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(handle, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(handle)
    os.rename(name, path)


def by_descriptors(state, path):
    packed = io.BytesIO()
    torch.save(state, packed)
    handle = os.open(f"{path}~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(handle, packed.getvalue())
    os.fsync(handle)
    os.close(handle)
    replace(f"{path}~", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def saved_by_name_and_synced_later(state, path):
    torch.save(state, f"{path}.part")
    with open(f"{path}.part", "rb") as file:
        os.fsync(file.fileno())
    shutil.move(f"{path}.part", path)


def by_sync_of_all(state, path):
    torch.save(state, f"{path}.part")
    os.sync()
    os.replace(f"{path}.part", path)


def in_a_folder_of_its_own(state, path):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as made:
        beside = Path(made, "new")
        by_descriptors(state, beside)
        beside.replace(path)


def with_a_second_name_for_the_old(state, path):
    old = Path(f"{path}.old")
    old.unlink(missing_ok=True)
    if os.path.exists(path):
        os.link(path, old)
    by_pathlib(state, path)
    old.unlink(missing_ok=True)


test_any_style_passes = passes(
    exercise.atomic,
    by_pathlib,
    by_mkstemp,
    by_descriptors,
    saved_by_name_and_synced_later,
    by_sync_of_all,
    in_a_folder_of_its_own,
    with_a_second_name_for_the_old,
)


def in_place(state, path):
    torch.save(state, path)


def removed_first(state, path):
    Path(path).unlink(missing_ok=True)
    torch.save(state, path)


def copied_over(state, path):
    torch.save(state, f"{path}.new")
    shutil.copyfile(f"{path}.new", path)
    os.remove(f"{path}.new")


def elsewhere(state, path):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def unsynced(state, path):
    torch.save(state, f"{path}.new")
    os.replace(f"{path}.new", path)


def in_pieces(state, file):
    packed = io.BytesIO()
    torch.save(state, packed)
    for start in range(0, packed.tell(), 1000):
        file.write(packed.getvalue()[start : start + 1000])


def synced_too_early(state, path):
    with open(f"{path}.new", "wb") as file:
        in_pieces(state, file)
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def renamed_too_early(state, path):
    with open(f"{path}.new", "wb") as file:
        in_pieces(state, file)
        os.replace(f"{path}.new", path)
        file.flush()
        os.fsync(file.fileno())


def synced_afterwards(state, path):
    torch.save(state, f"{path}.new")
    os.replace(f"{path}.new", path)
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def only_the_folder_synced(state, path):
    torch.save(state, f"{path}.new")
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    os.replace(f"{path}.new", path)


def left_behind(state, path):
    by_pathlib(state, path)
    Path(f"{path}.lock").touch()


def without_the_step(state, path):
    by_pathlib({"theta": state["theta"]}, path)


def the_old_one_removed(state, path):
    by_pathlib(state, f"{path}.new")
    Path(path).unlink(missing_ok=True)
    os.rename(f"{path}.new", path)


def the_old_one_moved_away(state, path):
    by_pathlib(state, f"{path}.new")
    if os.path.exists(path):
        os.rename(path, f"{path}.old")
    os.rename(f"{path}.new", path)
    Path(f"{path}.old").unlink(missing_ok=True)


def opened_as(mode):
    def saves(state, path):
        with open(f"{path}.new", mode) as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.new", path)

    return saves


only_where_none_is, behind_what_is_there = opened_as("xb"), opened_as("ab")


def never_renamed(state, path):
    with open(f"{path}.new", "wb") as file:
        torch.save(state, file)


test_a_mistake_is_named = refused(
    exercise.atomic,
    (in_place, "the file comes to be under its own name"),
    (removed_first, "the file comes to be under its own name"),
    (copied_over, "under its own name"),
    (elsewhere, "in another folder"),
    (unsynced, "nothing says that the file's bytes are on the disk"),
    (synced_afterwards, "nothing says that the file's bytes are on the disk"),
    (only_the_folder_synced, "nothing says that the file's bytes are on the disk"),
    (synced_too_early, "at os.fsync the file had"),
    (renamed_too_early, "at the rename"),
    (the_old_one_removed, "the old one has lost it"),
    (the_old_one_moved_away, "the old one has lost it"),
    (only_where_none_is, "stops your function for ever"),
    (behind_what_is_there, "where a torn checkpoint.pt.new of one who died lies"),
    (left_behind, "stays behind"),
    (without_the_step, "something else than the state"),
    (never_renamed, "there is no file at path"),
)
