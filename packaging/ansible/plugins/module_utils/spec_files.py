# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Spec files of a host: written before a build, and restored if it fails."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re
import tempfile

from ansible_collections.jailctl.core.plugins.module_utils.spec_options import NAME_PATTERN

SUFFIX = ".toml"
# Specs contain hashes of passwords.
MODE = 0o600
DIRECTORY_MODE = 0o755

NAME_LINE = re.compile(r"""^[ \t]*name[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)')""", re.MULTILINE)
FIRST_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


def name_of(text):
    """Returns the name in the text of a spec, which comes before its first table; None if it has none."""
    top = FIRST_TABLE.split(text, maxsplit=1)[0]
    found = NAME_LINE.search(top)
    return found.group(1) or found.group(2) if found else None


def path_of(directory, name):
    """Returns the path of the spec file of a jail. The name must be valid, see `require_names`."""
    return os.path.join(directory, name + SUFFIX)


def require_names(module, names):
    """Fails unless each name is that of a jail, and none is there twice: names are parts of paths."""
    for name in names:
        if not re.fullmatch(NAME_PATTERN, name or ""):
            module.fail_json(
                msg="could not use `%s` as the `name` of a jail: a name has 1 to 27 characters: "
                "a-z first, then a-z, 0-9, `_` and `-`" % (name or "").encode("unicode_escape").decode()
            )
        if names.count(name) > 1:
            module.fail_json(msg="two specs have the same `name`, `%s`" % name)


def listed(directory):
    """Returns the paths of all spec files of a directory."""
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    names = [name for name in names if name.endswith(SUFFIX) and not name.startswith(".")]
    return [os.path.join(directory, name) for name in names]


class SpecFiles(object):
    """Spec files as a task wants them: pairs of path and text."""

    def __init__(self, directory, specs):
        self.directory = directory
        self.names = [name for name, text in specs]
        self.wanted = [(path_of(directory, name), text.encode("utf-8")) for name, text in specs]
        self.before = [(path, _read(path)) for path, text in self.wanted]

    def paths(self):
        """The paths of all spec files of the task."""
        return [path for path, text in self.wanted]

    def wanted_paths(self):
        """Pairs of the name of a jail and the path of its spec file."""
        return list(zip(self.names, self.paths()))

    def changed(self):
        """The paths of the files that differ from what the task wants."""
        pairs = zip(self.wanted, self.before)
        return [path for (path, text), (_path, before) in pairs if text != before]

    def write(self):
        """Writes the files that differ, each of them whole."""
        if self.wanted and not os.path.isdir(self.directory):
            os.makedirs(self.directory, DIRECTORY_MODE)
        changed = self.changed()
        for path, text in self.wanted:
            if path in changed:
                _write(path, text)

    def restore(self):
        """Brings the files back to what they were before `write`."""
        for path, text in self.before:
            if text is None:
                remove(path)
            elif text != _read(path):
                _write(path, text)

    def write_copies(self, directory):
        """Writes copies to an empty directory. Returns pairs of the copy and the path that it stands for."""
        copies = []
        for path, text in self.wanted:
            copy = os.path.join(directory, os.path.basename(path))
            _write(copy, text)
            copies.append((copy, path))
        return copies


def remove(path):
    """Deletes a spec file. Returns whether it existed."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(path, text):
    """Replaces a file by rename(2). It has its final mode before it has any content."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".", suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), MODE)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
