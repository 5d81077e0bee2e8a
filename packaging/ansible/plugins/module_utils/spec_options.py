# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Generated from the table of keys of jailctl: `UPDATE=1 cargo test --test packaging` writes it again.

from __future__ import absolute_import, division, print_function

__metaclass__ = type

SPEC_OPTIONS = {
    "name": {"type": "str", "required": True},
    "root": {"type": "str"},
    "templates": {"type": "list", "elements": "str"},
    "binaries": {"type": "list", "elements": "str"},
    "optional": {"type": "list", "elements": "str"},
    "packages": {"type": "list", "elements": "str"},
    "package_dependencies": {"type": "str", "choices": ["none", "required", "recommended"]},
    "dlopen": {"type": "str", "choices": ["required", "recommended", "suggested", "none"]},
    "plain_chroot": {"type": "bool"},
    "user": {"type": "list", "elements": "dict", "options": {
        "name": {"type": "str", "required": True},
        "was": {"type": "str"},
        "adopt": {"type": "bool"},
        "allow": {"type": "list", "elements": "str", "choices": ["shell", "sftp", "forward", "scp", "rsync", "git", "borg", "restic", "command"]},
        "command": {"type": "list", "elements": "str"},
        "shell": {"type": "str"},
        "home": {"type": "str"},
        "authorized_keys": {"type": "list", "elements": "str", "no_log": True},
        "password": {"type": "str", "no_log": True},
        "groups": {"type": "list", "elements": "str"},
        "uid": {"type": "int"},
        "expires": {"type": "str"},
        "skel": {"type": "str"},
    }},
    "sshd": {"type": "dict", "options": {
        "allow": {"type": "list", "elements": "str", "choices": ["shell", "sftp", "forward", "scp", "rsync", "git", "borg", "restic", "command"]},
        "command": {"type": "list", "elements": "str"},
        "start_dir": {"type": "str"},
        "umask": {"type": "raw"},
        "sftp_log": {"type": "bool"},
    }},
    "sftp": {"type": "dict", "options": {
        "mode": {"type": "str", "choices": ["read-write", "read-only"]},
    }},
    "scp": {"type": "dict", "options": {
        "path": {"type": "str"},
        "mode": {"type": "str", "choices": ["read-write", "read-only", "write-only"]},
    }},
    "rsync": {"type": "dict", "options": {
        "path": {"type": "str"},
        "mode": {"type": "str", "choices": ["read-write", "read-only", "write-only", "append-only"]},
    }},
    "git": {"type": "dict", "options": {
        "path": {"type": "str"},
        "mode": {"type": "str", "choices": ["read-write", "read-only"]},
    }},
    "borg": {"type": "dict", "options": {
        "path": {"type": "str"},
        "mode": {"type": "str", "choices": ["read-write", "append-only"]},
    }},
    "restic": {"type": "dict", "options": {
        "path": {"type": "str"},
        "mode": {"type": "str", "choices": ["read-write", "append-only"]},
    }},
    "file": {"type": "list", "elements": "dict", "options": {
        "source": {"type": "str"},
        "content": {"type": "str"},
        "target": {"type": "str"},
        "mode": {"type": "raw"},
    }},
    "dir": {"type": "list", "elements": "dict", "options": {
        "path": {"type": "str", "required": True},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
    }},
    "mount": {"type": "list", "elements": "dict", "options": {
        "source": {"type": "str", "required": True},
        "target": {"type": "str", "required": True},
        "options": {"type": "list", "elements": "str"},
        "optional": {"type": "bool"},
    }},
    "namespaces": {"type": "dict", "options": {
        "pid": {"type": "bool"},
        "mnt": {"type": "bool"},
        "uts": {"type": "bool"},
        "ipc": {"type": "bool"},
        "cgroup": {"type": "bool"},
        "user": {"type": "bool"},
    }},
    "network": {"type": "dict", "options": {
        "mode": {"type": "str", "choices": ["host", "none", "private"]},
        "allow_in": {"type": "list", "elements": "str"},
        "allow_out": {"type": "list", "elements": "str"},
    }},
    "limits": {"type": "dict", "options": {
        "memory": {"type": "str"},
        "swap": {"type": "str"},
        "cpu": {"type": "str"},
        "cpu_weight": {"type": "int"},
        "cpus": {"type": "str"},
        "tasks": {"type": "int"},
        "io_weight": {"type": "int"},
        "io_read": {"type": "str"},
        "io_write": {"type": "str"},
        "io_read_ops": {"type": "int"},
        "io_write_ops": {"type": "int"},
        "devices": {"type": "list", "elements": "str"},
        "hugetlb": {"type": "str"},
        "net_cls_classid": {"type": "int"},
        "net_prio": {"type": "int"},
        "open_files": {"type": "int"},
        "core_size": {"type": "str"},
        "max_sessions": {"type": "int"},
        "cgroup_parent": {"type": "str"},
    }},
    "test": {"type": "list", "elements": "dict", "options": {
        "run": {"type": "list", "elements": "str", "required": True},
    }},
}

# Dates, which TOML has without quotes.
DATE_KEYS = {
    "user.expires",
}

# Octal digits, which YAML reads as numbers unless they have quotes.
QUOTED_KEYS = {
    "sshd.umask": "0027",
    "file.mode": "0644",
    "dir.mode": "0750",
}

NAME_PATTERN = "^[a-z][a-z0-9_-]{0,26}$"
