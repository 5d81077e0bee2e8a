#!/usr/bin/python
# -*- coding: utf-8 -*-

# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: jail
short_description: Build, change and remove chroot jails for SSH and SFTP users
version_added: 1.0.0
author:
  - The jailctl authors (!UNKNOWN)
description:
  - Writes specs to the host and makes its jails match them with the command C(jailctl).
  - All jails of a task are one transaction. If one of them cannot be built, the host and its spec
    files stay as they were.
  - Specs are checked by the command itself, in check mode too. It never starts a shell.
  - Running it again changes nothing unless a spec, a program of the host or the jail has changed.
requirements:
  - jailctl 0.1.0 or later on the managed host
  - root on the managed host, for example by C(become)
extends_documentation_fragment:
  - jailctl.core.spec
  - jailctl.core.common
options:
  state:
    description:
      - With C(present), the specs that the task contains are written to O(jails_dir), and their
        jails are built.
      - With C(built), jails are built from spec files that are on the host already. O(name) selects
        them; without it, all spec files of O(jails_dir) are built.
      - With C(absent), jails and their spec files are removed. Homes and other files of users stay.
      - With C(purged), homes and other files of users are deleted too.
    type: str
    choices: [present, built, absent, purged]
    default: present
  name:
    description:
      - Names of jails, with all states but C(present).
      - C(absent) and C(purged) also accept O(spec) and O(jails), and use the names in them.
    type: list
    elements: str
    aliases: [names]
  content:
    description:
      - One spec as TOML, for example from the lookup C(ansible.builtin.template).
      - It is not part of the output of the task.
    type: str
  src:
    description:
      - One spec as a TOML file on the controller, found as by M(ansible.builtin.copy).
      - A file whose name ends in C(.j2) is a template, found as by M(ansible.builtin.template).
    type: path
  jails_dir:
    description: The directory of the spec files on the host.
    type: path
    default: /etc/jailctl/jails.d
  reload:
    description:
      - Whether sshd is reloaded if the jails need it. One transaction reloads it once.
      - With C(false) a handler has to do it. Until then new users cannot log in, and nothing else
        happens to them.
    type: bool
    default: true
  kill:
    description: Whether removal ends open sessions first. Without it, open sessions are an error.
    type: bool
    default: false
  from_here:
    description:
      - Whether a spec may replace another file that its jail was built from, as
        C(jailctl build --from-here) does. Accounts that the new spec does not name are deleted.
    type: bool
    default: false
  recreate:
    description: Whether a jail whose root is gone is created again, with empty homes.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for another jailctl on the host.
    type: int
    default: 60
attributes:
  check_mode:
    description: C(jailctl plan) predicts the changes. Temporary files of Ansible are all it writes.
    support: full
  diff_mode:
    description: Accounts, paths, keys by fingerprint and the sshd snippet of each changed jail.
    support: full
  platform:
    description: Linux 5.11 or later with OpenSSH.
    support: full
    platforms: linux
notes:
  - If the host lacks C(jailctl) in check mode, the task predicts a change, because an earlier task
    may install it.
  - Passwords and keys are not logged. Specs are not part of what the task returns.
seealso:
  - module: jailctl.core.jail_info
  - module: jailctl.core.jail_session
"""

EXAMPLES = r"""
- name: Jail of one user with a shell
  jailctl.core.jail:
    spec:
      name: arkham
      templates: [shell]
      binaries: [bash, ls, cat]
      user:
        - name: harlequin
          authorized_keys: "{{ lookup('ansible.builtin.file', 'keys/harlequin.pub').splitlines() }}"

- name: All customers of a host, in one transaction
  jailctl.core.jail:
    jails: "{{ customers }}"

- name: Spec from a template
  jailctl.core.jail:
    src: dropbox.toml.j2

- name: Build again from the files on the host, for example after an upgrade
  jailctl.core.jail:
    state: built

- name: Remove a customer, and keep the files of its users
  jailctl.core.jail:
    name: arkham
    state: absent

- name: Remove a customer with all files, and end open sessions
  jailctl.core.jail:
    name: arkham
    state: purged
    kill: true
"""

RETURN = r"""
jails:
  description: The jails of the task. Paths that change are in the diff.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the jail.
      type: str
      sample: arkham
    root:
      description: Root directory of the jail on the host.
      type: str
      sample: /srv/jails/arkham
    changed:
      description: Whether the jail was changed, or would be.
      type: bool
    ways_in:
      description: Ways in after the task; null if there are none.
      type: list
      elements: str
      sample: [shell, sftp]
    steps:
      description: Steps in their order, with the totals of the tree.
      type: list
      elements: dict
specs:
  description: Spec files that were written or deleted, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/jailctl/jails.d/arkham.toml]
findings:
  description: All errors of the command, with what, why, hints and location.
  returned: failure of jailctl
  type: list
  elements: dict
kind:
  description: Kind of the error.
  returned: failure of jailctl
  type: str
  sample: spec
rc:
  description: Exit status of jailctl.
  returned: failure of jailctl
  type: int
"""

import os
import tempfile

from ansible_collections.jailctl.core.plugins.module_utils.command import (
    COMMON_OPTIONS,
    OUTPUT_LOST,
    Jailctl,
    JailctlModule,
)
from ansible_collections.jailctl.core.plugins.module_utils.spec_files import (
    SpecFiles,
    listed,
    name_of,
    path_of,
    remove,
    require_names,
)
from ansible_collections.jailctl.core.plugins.module_utils.spec_options import SPEC_OPTIONS
from ansible_collections.jailctl.core.plugins.module_utils.toml import NotTomlError, spec_text

OPTIONS = dict(
    COMMON_OPTIONS,
    state={
        "type": "str",
        "choices": ["present", "built", "absent", "purged"],
        "default": "present",
    },
    name={"type": "list", "elements": "str", "aliases": ["names"]},
    spec={"type": "dict", "options": SPEC_OPTIONS},
    jails={"type": "list", "elements": "dict", "options": SPEC_OPTIONS},
    content={"type": "str", "no_log": True},
    src={"type": "path"},
    jails_dir={"type": "path", "default": "/etc/jailctl/jails.d"},
    reload={"type": "bool", "default": True},
    kill={"type": "bool", "default": False},
    from_here={"type": "bool", "default": False},
    recreate={"type": "bool", "default": False},
    lock_timeout={"type": "int", "default": 60},
)

# Values of `password` that are no secrets: hiding them would hide these words everywhere.
PUBLIC_PASSWORDS = {"locked", "unchanged"}


def specs_of(params):
    """Returns the specs that the task has as YAML."""
    return [params["spec"]] if params["spec"] is not None else params["jails"] or []


def texts_of(module):
    """Returns pairs of the name and the text of the specs of the task."""
    content = module.params["content"]
    if content is not None:
        name = name_of(content)
        if name is None:
            module.fail_json(msg="could not find the key `name` before the first table of the spec")
        return [(name, content)]
    try:
        return [(spec["name"], spec_text(spec)) for spec in specs_of(module.params)]
    except NotTomlError as error:
        module.fail_json(msg=str(error))


def consents(params):
    """The options of `build` and `plan` that permit what is refused otherwise."""
    return ["--" + key.replace("_", "-") for key in ("from_here", "recreate") if params[key]]


def writing(module):
    """The options of verbs that change the host."""
    options = ["--lock-timeout", str(module.params["lock_timeout"])]
    if not module.params["reload"]:
        options.append("--no-reload")
    if module.check_mode:
        options.append("--dry-run")
    return options


def present(module, jailctl):
    """Writes the specs of the task, and builds their jails."""
    texts = texts_of(module)
    require_names(module, [name for name, text in texts])
    files = SpecFiles(module.params["jails_dir"], texts)
    changed = files.changed()
    if not texts:
        return [], []
    if module.check_mode:
        return [predicted(module, jailctl, files)], changed
    done = False
    try:
        files.write()
        options = consents(module.params) + writing(module)
        answer, error = jailctl.attempt("build", options + ["--"] + files.paths())
        done = error is None or error["rc"] == OUTPUT_LOST
    finally:
        # A failed build has changed nothing, so its specs must not stay either.
        if not done:
            files.restore()
    if error is not None:
        module.fail_json(**error)
    return [answer], changed


def predicted(module, jailctl, files):
    """The plan for specs that are not on the host yet."""
    params = module.params
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as directory:
        copies = files.write_copies(directory)
        if not params["from_here"]:
            refuse_other_files(module, jailctl, files.wanted_paths())
        options = ["--from-here"] + (["--recreate"] if params["recreate"] else [])
        return jailctl.json("plan", options + ["--"] + [copy for copy, path in copies], dict(copies))


def refuse_other_files(module, jailctl, wanted):
    """Fails where the build would refuse a spec because its jail was built from another file."""
    listed = jailctl.json("list", [])["jails"]
    built_from = dict((family_of(jail["name"]), jail["spec"]) for jail in listed)
    for name, path in wanted:
        other = built_from.get(name, path)
        if other != path and os.path.exists(other):
            module.fail_json(
                msg="could not build the jail `%s` from `%s`: it was built from `%s`, which is "
                "another file and still exists; hint: to replace that file, set `from_here: true`"
                % (name, path, other)
            )


def family_of(name):
    """The name in the spec of a jail: `acme` for the jail `acme.alice` of a family."""
    return name.partition(".")[0]


def built(module, jailctl):
    """Builds jails from spec files that are on the host."""
    params = module.params
    if params["name"] is None:
        files = listed(params["jails_dir"])
    else:
        require_names(module, params["name"])
        files = [path_of(params["jails_dir"], name) for name in params["name"]]
    if not files:
        return [], []
    options = consents(params) + writing(module)
    return [jailctl.json("build", options + ["--"] + files)], []


def removed(module, jailctl):
    """Removes jails, and after each of them its spec file."""
    params = module.params
    names = params["name"]
    if names is None:
        names = [spec["name"] for spec in specs_of(params)]
    require_names(module, names)
    options = writing(module)
    if params["state"] == "purged":
        options.append("--purge")
    if params["kill"]:
        options.append("--kill")
    on_host = set(family_of(jail["name"]) for jail in jailctl.json("list", [])["jails"])
    answers = []
    deleted = []
    for name in names:
        if name in on_host:
            answer, error = jailctl.attempt("remove", options + ["--", name])
            if error is not None:
                # Each removal is a transaction: those before this one are done.
                done = bool(answers) and not module.check_mode
                module.fail_json(changed=done, jails=jails_of(answers), specs=deleted, **error)
            answers.append(answer)
        path = path_of(params["jails_dir"], name)
        if os.path.lexists(path) if module.check_mode else remove(path):
            deleted.append(path)
    return answers, deleted


def jails_of(answers):
    """The jails of the answers of the command, without single paths: the diff has them."""
    jails = []
    for answer in answers:
        for jail in answer["jails"]:
            jail = dict(jail)
            del jail["diff"]
            jail["steps"] = [
                dict((key, value) for key, value in step.items() if key != "changes")
                for step in jail["steps"]
            ]
            jails.append(jail)
    return jails


def diff_of(answers, specs):
    """The diff of Ansible for the answers of the command."""
    diffs = []
    for answer in answers:
        for jail in answer["jails"]:
            if jail["changed"]:
                header = "jail %s" % jail["name"]
                diffs.append(dict(jail["diff"], before_header=header, after_header=header))
    # The text of a spec may contain secrets.
    diffs.extend({"prepared": "spec file %s changes\n" % path} for path in specs)
    return diffs


def main():
    module = JailctlModule(
        argument_spec=OPTIONS,
        mutually_exclusive=[("spec", "jails", "content", "src", "name")],
        required_if=[
            ("state", "present", ("spec", "jails", "content", "src"), True),
            ("state", "absent", ("name", "spec", "jails"), True),
            ("state", "purged", ("name", "spec", "jails"), True),
        ],
        supports_check_mode=True,
    )
    module.no_log_values -= PUBLIC_PASSWORDS
    if module.params["src"] is not None:
        module.fail_json(msg="`src` is a file of the controller: call the module by its full name")
    state = module.params["state"]
    jailctl = Jailctl(module)
    if module.check_mode and not jailctl.is_installed():
        module.warn("jailctl is not on this host; an earlier task may install it")
        module.exit_json(changed=state in ("present", "built"), jails=[], specs=[])
    act = {"present": present, "built": built, "absent": removed, "purged": removed}[state]
    try:
        answers, specs = act(module, jailctl)
    except (OSError, UnicodeError) as error:
        module.fail_json(
            msg="could not write or read a spec file: %s; hint: the task needs root, for example "
            "by `become: true`, and text in UTF-8" % error
        )
    for warning in sorted(set(warning for answer in answers for warning in answer["warnings"])):
        module.warn(warning)
    result = {
        "changed": bool(specs) or any(answer["changed"] for answer in answers),
        "jails": jails_of(answers),
        "specs": specs,
    }
    if module._diff:
        result["diff"] = diff_of(answers, specs)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
