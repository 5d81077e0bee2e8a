# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Reads `src` of the module jail on the controller."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader


class ActionModule(ActionBase):
    """The module jail, with the text of `src` as `content`."""

    def run(self, tmp=None, task_vars=None):
        result = super(ActionModule, self).run(tmp, task_vars)
        arguments = dict(self._task.args)
        source = arguments.pop("src", None)
        if source is not None:
            if arguments.get("content") is not None:
                return dict(
                    result, failed=True, msg="parameters are mutually exclusive: content|src"
                )
            try:
                arguments["content"] = self._text(source, task_vars)
            except AnsibleError as error:
                return dict(result, failed=True, msg="could not read `%s`: %s" % (source, error))
        done = self._execute_module(
            module_name="jailctl.core.jail", module_args=arguments, task_vars=task_vars
        )
        return dict(result, **done)

    def _text(self, source, task_vars):
        """The text of a file, or of a template, of the controller."""
        is_template = source.endswith(".j2")
        name = "ansible.builtin.template" if is_template else "ansible.builtin.file"
        options = {} if is_template else {"rstrip": False}
        lookup = lookup_loader.get(name, loader=self._loader, templar=self._templar)
        return lookup.run([source], variables=task_vars, **options)[0]
