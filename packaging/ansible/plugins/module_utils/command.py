# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

"""The command jailctl: its arguments, its JSON, and its errors as those of a module."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os

from ansible.module_utils.basic import AnsibleModule

# The oldest jailctl whose JSON has all keys that the modules read.
OLDEST = "0.1.0"
SCHEMA = 1
# The exit status of a change that succeeded while its output could not be written.
OUTPUT_LOST = 6

# Options of all modules.
COMMON_OPTIONS = {
    "executable": {"type": "path", "default": "jailctl"},
}

# Parameters that contain specs, and so hashes of passwords. A misspelled key in one of them is not
# known to contain a secret: such values are never returned.
SPEC_PARAMETERS = ("spec", "jails", "content")

HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


class JailctlModule(AnsibleModule):
    """A module that returns none of the specs that it was given."""

    def exit_json(self, **kwargs):
        super(JailctlModule, self).exit_json(invocation=self._invocation(), **kwargs)

    def fail_json(self, msg, **kwargs):
        kwargs.setdefault("invocation", self._invocation())
        super(JailctlModule, self).fail_json(msg, **kwargs)

    def _invocation(self):
        shown = {}
        for key, value in (self.params or {}).items():
            shown[key] = HIDDEN if key in SPEC_PARAMETERS and value is not None else value
        return {"module_args": shown}


class Jailctl(object):
    """The command of this host."""

    def __init__(self, module):
        self.module = module
        name = module.params["executable"]
        # sshd and sudo often start programs without the directories of administration.
        extra = ["/usr/local/sbin", "/usr/sbin", "/sbin"]
        self.path = name if os.path.isabs(name) else module.get_bin_path(name, opt_dirs=extra)
        self.name = name

    def is_installed(self):
        """Whether the host has the command."""
        return self.path is not None and os.path.exists(self.path)

    def require(self):
        """Fails if the host lacks the command."""
        if not self.is_installed():
            self.module.fail_json(
                msg="could not find `%s` on this host: install jailctl %s or later, "
                "for example with the role jailctl.core.jailctl" % (self.name, OLDEST)
            )

    def run(self, arguments):
        """Runs the command without a shell. Returns its status, standard output and error."""
        self.require()
        return self.module.run_command([self.path] + arguments, handle_exceptions=True)

    def json(self, verb, arguments, places=None):
        """Runs a verb with `--json`. Returns its object, or fails with its findings.

        `places` are the paths to show in place of those of temporary files.
        """
        result, error = self.attempt(verb, arguments, places)
        if error is not None:
            self.module.fail_json(**error)
        return result

    def attempt(self, verb, arguments, places=None):
        """As `json`; returns the object and None, or None and the arguments of `fail_json`."""
        status, out, err = self.run([verb, "--json"] + arguments)
        try:
            answer = json.loads(out)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("schema") != SCHEMA:
            return None, {"msg": self._not_understood(verb, out, err), "rc": status}
        if "error" in answer:
            return None, _failure(answer["error"], places or {})
        return answer, None

    def version(self):
        """Returns the version of the command, such as `0.1.0`."""
        out = self.run(["--version"])[1].split()
        return out[1] if len(out) > 1 and out[0] == "jailctl" else None

    def _not_understood(self, verb, out, err):
        version = self.version()
        if version is None:
            return "could not use `%s`: it is not jailctl" % self.path
        what = "could not use jailctl %s at `%s`: `%s --json` has no JSON of schema %d" % (
            version,
            self.path,
            verb,
            SCHEMA,
        )
        hint = "this collection works with jailctl %s and later of the same schema" % OLDEST
        return "%s; %s: %s" % (what, hint, (err or out).strip())


def _failure(error, places):
    """The arguments of `fail_json` for an error of the command."""
    lines = []
    for finding in error["findings"]:
        line = finding["what"]
        if finding.get("why"):
            line += ": " + finding["why"]
        location = finding.get("location")
        if location:
            line += " (%s:%d:%d)" % (location["source"], location["line"], location["column"])
            location["source"] = places.get(location["source"], location["source"])
        for hint in finding.get("hints") or []:
            line += "; hint: " + hint
        for temporary, place in places.items():
            line = line.replace(temporary, place)
        lines.append(line)
    return {
        "msg": "\n".join(lines),
        "findings": error["findings"],
        "kind": error["kind"],
        "rc": error["status"],
    }
