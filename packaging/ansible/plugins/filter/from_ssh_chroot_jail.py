# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Proposes a spec for the variables of another role."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
name: from_ssh_chroot_jail
short_description: Propose a spec for the role geerlingguy.ssh-chroot-jail
version_added: 1.0.0
author:
  - The jailctl authors (!UNKNOWN)
description:
  - Takes C(ssh_chroot_bins) and C(ssh_chroot_jail_users) of a dictionary of variables.
  - Accounts are proposed with C(adopt), so that they are restored when the jail is removed. Their passwords
    stay unchanged, and their keys have to be added.
  - Nothing is read from a host, and nothing is changed.
options:
  _input:
    description: The variables of a host, such as C(vars).
    type: dict
    required: true
  name:
    description: Name of the jail.
    type: str
    default: jailed
positional: name
"""

EXAMPLES = r"""
- name: Show the proposal
  ansible.builtin.debug:
    msg: "{{ vars | jailctl.core.from_ssh_chroot_jail('web') }}"
"""

RETURN = r"""
_value:
  description: Specs, as for the option C(jails) of the module jailctl.core.jail.
  type: list
  elements: dict
"""


def from_ssh_chroot_jail(variables, name="jailed"):
    """The spec for the variables of the role geerlingguy.ssh-chroot-jail."""
    programs = [item["bin"] if isinstance(item, dict) else item for item in variables["ssh_chroot_bins"]]
    users = []
    for user in variables["ssh_chroot_jail_users"]:
        proposal = {"name": user["name"], "adopt": True, "password": "unchanged"}
        home = user.get("home") or user.get("homedir")
        if home and home != "/home/" + user["name"]:
            proposal["home"] = home
        shell = user.get("shell")
        if shell:
            proposal["shell"] = shell
        users.append(proposal)
    # A program that is not on the host is a notice: the role's defaults name some.
    return [{"name": name, "templates": ["shell"], "optional": sorted(set(programs)), "user": users}]


class FilterModule(object):
    """The filter."""

    def filters(self):
        return {"from_ssh_chroot_jail": from_ssh_chroot_jail}
