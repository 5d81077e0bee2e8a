# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

from __future__ import absolute_import, division, print_function

__metaclass__ = type


class ModuleDocFragment(object):
    """Options of all modules."""

    DOCUMENTATION = r"""
options:
  executable:
    description: The command C(jailctl), as a path or a name.
    type: path
    default: jailctl
"""
