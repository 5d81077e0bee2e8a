# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Proposes specs for the jails of jailkit."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
name: from_jailkit
short_description: Propose specs for the jails of jailkit
version_added: 1.0.0
author:
  - The jailctl authors (!UNKNOWN)
description:
  - Takes the accounts in lines of passwd(5) whose shell is C(jk_chrootsh) and whose home contains
    C(/./), which ends the root of the jail.
  - Accounts are proposed with C(adopt), so that they are restored when the jail is removed. Their passwords
    stay unchanged, and their keys have to be added.
  - Nothing is read from a host, and nothing is changed.
options:
  _input:
    description: The lines of C(/etc/passwd).
    type: list
    elements: str
    required: true
  programs:
    description: The paths of the programs in each jail, by the root of the jail.
    type: dict
    default: {}
positional: programs
"""

EXAMPLES = r"""
- name: Show the proposals
  ansible.builtin.debug:
    msg: "{{ passwd_lines | jailctl.core.from_jailkit({'/srv/jail': ['/bin/bash']}) }}"
"""

RETURN = r"""
_value:
  description: Specs, as for the option C(jails) of the module jailctl.core.jail.
  type: list
  elements: dict
"""

import posixpath

JAILKIT_SHELL = "jk_chrootsh"
SHELLS = ("bash", "dash", "sh", "zsh", "ksh", "fish", "csh", "tcsh")


def from_jailkit(passwd, programs=None):
    """Specs for the accounts in lines of passwd(5) that jailkit has put into jails."""
    jails = {}
    for line in passwd:
        fields = line.rstrip("\n").split(":")
        if len(fields) != 7 or posixpath.basename(fields[6]) != JAILKIT_SHELL:
            continue
        root, separator, home = fields[5].partition("/./")
        if separator:
            user = {"name": fields[0], "adopt": True, "password": "unchanged", "home": "/" + home}
            jails.setdefault(root, []).append(user)
    specs = []
    for root in sorted(jails):
        found = sorted(set((programs or {}).get(root) or []))
        spec = {"name": _jail_name(root), "optional": found, "user": jails[root]}
        if any(posixpath.basename(program) in SHELLS for program in found):
            spec["templates"] = ["shell"]
        specs.append(spec)
    return specs


def _jail_name(root):
    """A jail name from a path: its last component, in the characters of jail names."""
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789_-"
    name = "".join(c for c in posixpath.basename(root).lower() if c in allowed)[:27]
    return name if name[:1].isalpha() else ("jail" + name)[:27]


class FilterModule(object):
    """The filter."""

    def filters(self):
        return {"from_jailkit": from_jailkit}
