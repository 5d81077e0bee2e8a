#!/usr/bin/python
# -*- coding: utf-8 -*-

# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: jail_session
short_description: Suspend, resume or end the sessions of a jail
version_added: 1.0.0
author:
  - The jailctl authors (!UNKNOWN)
description:
  - Runs C(jailctl freeze), C(jailctl thaw) or C(jailctl kill).
  - Frozen sessions keep their memory and connections. New logins to a frozen jail wait.
requirements:
  - jailctl 0.1.0 or later on the managed host
  - root on the managed host, for example by C(become)
extends_documentation_fragment:
  - jailctl.core.common
options:
  name:
    description: Name of the jail, or of a family.
    type: str
    required: true
  state:
    description:
      - With C(frozen), all processes of the sessions are suspended. The jail needs C(limits).
      - With C(thawed), they go on.
      - With C(killed), they are ended. Users can log in again.
    type: str
    choices: [frozen, thawed, killed]
    required: true
attributes:
  check_mode:
    description: Predicts a change from the usage of the jail.
    details:
      - Sessions of a jail without C(limits) are not counted, and C(killed) predicts a change.
    support: partial
  diff_mode:
    description: The number of sessions, and whether the jail is frozen.
    support: full
  platform:
    description: Linux 5.11 or later with OpenSSH.
    support: full
    platforms: linux
seealso:
  - module: jailctl.core.jail
  - module: jailctl.core.jail_info
"""

EXAMPLES = r"""
- name: Suspend a jail while a report of abuse is looked at
  jailctl.core.jail_session:
    name: arkham
    state: frozen

- name: Let it go on
  jailctl.core.jail_session:
    name: arkham
    state: thawed

- name: End all sessions before a maintenance
  jailctl.core.jail_session:
    name: arkham
    state: killed
"""

RETURN = r"""
text:
  description: The output of the command, one line for each jail.
  returned: success, without check mode
  type: str
  sample: "arkham: frozen"
jails:
  description: Usage of the jails before the task, for those with limits.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.jailctl.core.plugins.module_utils.command import (
    COMMON_OPTIONS,
    Jailctl,
    JailctlModule,
)

VERBS = {"frozen": "freeze", "thawed": "thaw", "killed": "kill"}

OPTIONS = dict(
    COMMON_OPTIONS,
    name={"type": "str", "required": True},
    state={"type": "str", "required": True, "choices": ["frozen", "thawed", "killed"]},
)


def is_change(state, jails):
    """Whether the state would change jails with this usage; without usage it is not known."""
    if not jails:
        return state != "thawed"
    if state == "killed":
        return any(jail["sessions"] for jail in jails)
    return any(jail["frozen"] != (state == "frozen") for jail in jails)


def diff(state, jails):
    """The usage before the task, and as the task leaves it."""
    def lines(of):
        return "".join("%s: %s\n" % (jail["name"], of(jail)) for jail in jails)

    before = lines(lambda jail: "%d sessions%s" % (jail["sessions"], ", frozen" if jail["frozen"] else ""))
    after = {
        "frozen": lambda jail: "%d sessions, frozen" % jail["sessions"],
        "thawed": lambda jail: "%d sessions" % jail["sessions"],
        "killed": lambda jail: "0 sessions",
    }[state]
    return {"before": before, "after": lines(after)}


def main():
    module = JailctlModule(argument_spec=OPTIONS, supports_check_mode=True)
    jailctl = Jailctl(module)
    name, state = module.params["name"], module.params["state"]
    jails = jailctl.json("stats", ["--", name])["jails"]
    if module.check_mode and not jails and state != "killed":
        module.fail_json(msg="could not suspend or resume `%s`: its spec has no `limits`" % name)
    result = {"changed": is_change(state, jails), "jails": jails}
    if module._diff:
        result["diff"] = diff(state, jails)
    if result["changed"] and not module.check_mode:
        status, out, err = jailctl.run([VERBS[state], "--", name])
        if status != 0:
            module.fail_json(msg=err.strip(), rc=status, jails=jails)
        result["text"] = out.strip()
        # Only the command knows whether a jail without limits had sessions.
        if not jails:
            result["changed"] = any("no session" not in line for line in result["text"].splitlines())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
