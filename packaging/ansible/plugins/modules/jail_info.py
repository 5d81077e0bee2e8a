#!/usr/bin/python
# -*- coding: utf-8 -*-

# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: jail_info
short_description: List the jails of a host, with details, differences and usage
version_added: 1.0.0
author:
  - The jailctl authors (!UNKNOWN)
description:
  - Returns what C(jailctl list), C(show), C(check), C(stats) and C(doctor) print as JSON.
  - It changes nothing. C(check) caches what it has read in C(/var/cache/jailctl).
requirements:
  - jailctl 0.1.0 or later on the managed host
  - root on the managed host, for example by C(become)
extends_documentation_fragment:
  - jailctl.core.common
options:
  name:
    description:
      - Names of jails. All jails of a family have the name of the family too.
      - Without it, all jails of the host.
      - A name that is not on the host is not an error; the list has no jail of it.
    type: list
    elements: str
    aliases: [names]
  gather:
    description:
      - Further queries. Each costs time, C(check) the most.
      - C(show) adds accounts, keys by fingerprint, snippet and tree to each jail.
      - C(check) adds the differences between the host and the last build of each jail.
      - C(stats) adds the usage of sessions to each jail with limits.
      - C(doctor) reports problems of the host.
    type: list
    elements: str
    choices: [show, check, stats, doctor]
    default: []
attributes:
  check_mode:
    description: The module only reads.
    support: full
  diff_mode:
    description: There are no changes to show.
    support: N/A
  platform:
    description: Linux 5.11 or later with OpenSSH.
    support: full
    platforms: linux
seealso:
  - module: jailctl.core.jail
  - module: jailctl.core.jail_session
"""

EXAMPLES = r"""
- name: All jails of the host
  jailctl.core.jail_info:
  register: jails

- name: Differences since the last build
  jailctl.core.jail_info:
    gather: [check]
  register: jails
  failed_when: jails.jails | selectattr('check.clean', 'false')

- name: Jails that no customer has any more
  ansible.builtin.set_fact:
    former: "{{ jails.jails | map(attribute='family') | unique | difference(customers | map(attribute='name')) }}"
"""

RETURN = r"""
version:
  description: Version of jailctl.
  returned: success
  type: str
  sample: 0.1.0
jails:
  description: The jails, in the order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the jail.
      type: str
      sample: arkham
    family:
      description: The name in its spec; another one than C(name) for a jail of a family.
      type: str
      sample: arkham
    root:
      description: Root directory on the host.
      type: str
      sample: /srv/jails/arkham
    spec:
      description: The spec file that it was built from.
      type: str
      sample: /etc/jailctl/jails.d/arkham.toml
    users:
      description: Login names.
      type: list
      elements: str
      sample: [harlequin]
    entries:
      description: Number of entries of the tree.
      type: int
    size:
      description: Size of the files in bytes.
      type: int
    show:
      description: The object of C(jailctl show --json).
      returned: with C(show) in O(gather)
      type: dict
    check:
      description: C(clean) and C(differences) of C(jailctl check --json).
      returned: with C(check) in O(gather)
      type: dict
    stats:
      description: Usage and limits of C(jailctl stats --json); null without limits.
      returned: with C(stats) in O(gather)
      type: dict
doctor:
  description: The object of C(jailctl doctor --json) for the host.
  returned: with C(doctor) in O(gather)
  type: dict
"""

from ansible_collections.jailctl.core.plugins.module_utils.command import (
    COMMON_OPTIONS,
    Jailctl,
    JailctlModule,
)

OPTIONS = dict(
    COMMON_OPTIONS,
    name={"type": "list", "elements": "str", "aliases": ["names"]},
    gather={
        "type": "list",
        "elements": "str",
        "choices": ["show", "check", "stats", "doctor"],
        "default": [],
    },
)


def by_name(jails):
    """The objects of an answer by the names of their jails."""
    return dict((jail["name"], jail) for jail in jails)


def gathered(jailctl, wanted, gather):
    """The jails of the host with one of the wanted names, or all of them."""
    jails = []
    for jail in jailctl.json("list", [])["jails"]:
        jail["family"] = jail["name"].partition(".")[0]
        if wanted is None or jail["name"] in wanted or jail["family"] in wanted:
            jails.append(jail)
    names = [jail["name"] for jail in jails]
    if "show" in gather:
        for jail in jails:
            jail["show"] = jailctl.json("show", ["--", jail["name"]])
    if "check" in gather and names:
        checked = by_name(jailctl.json("check", ["--"] + names)["jails"])
        for jail in jails:
            jail["check"] = checked.get(jail["name"])
    if "stats" in gather and names:
        used = by_name(jailctl.json("stats", ["--"] + names)["jails"])
        for jail in jails:
            jail["stats"] = used.get(jail["name"])
    return jails


def main():
    module = JailctlModule(argument_spec=OPTIONS, supports_check_mode=True)
    jailctl = Jailctl(module)
    gather = module.params["gather"]
    result = {
        "changed": False,
        "version": jailctl.version(),
        "jails": gathered(jailctl, module.params["name"], gather),
    }
    if "doctor" in gather:
        result["doctor"] = jailctl.json("doctor", [])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
