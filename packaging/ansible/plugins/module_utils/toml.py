# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Specs of jailctl as TOML. The command validates them: this file only writes what it was given."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.jailctl.core.plugins.module_utils.spec_options import (
    DATE_KEYS,
    QUOTED_KEYS,
    SPEC_OPTIONS,
)

DATE = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")

HEADER = "# Written by Ansible (module jailctl.core.jail): changes here are overwritten.\n"


class NotTomlError(ValueError):
    """Value that a spec cannot have, with the key that it was given for."""


def spec_text(spec):
    """Returns the text of the spec file for the values of `SPEC_OPTIONS`."""
    return HEADER + "\n".join(_table(spec, SPEC_OPTIONS, "", "")).rstrip("\n") + "\n"


def _table(values, options, header, path):
    """Returns the lines of a table: its own keys first, then the tables in it."""
    lines = [header] if header else []
    tables = []
    # In the order of the options: the same values are always the same text.
    for key, option in options.items():
        value = values.get(key)
        if value is None:
            continue
        here = path + key
        if option["type"] == "dict":
            tables.extend([""] + _table(value, option["options"], "[%s]" % here, here + "."))
        elif option.get("elements") == "dict":
            for element in value:
                header = "[[%s]]" % here
                tables.extend([""] + _table(element or {}, option["options"], header, here + "."))
        else:
            lines.append("%s = %s" % (key, _value(value, here)))
    return lines + tables


def _value(value, path):
    if path in QUOTED_KEYS and not isinstance(value, str):
        raise NotTomlError(
            "`%s` is not a string: put it between quotes, for example \"%s\", "
            "because YAML reads octal digits as a number" % (path, QUOTED_KEYS[path])
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return "%d" % value
    if isinstance(value, list):
        return "[%s]" % ", ".join(_value(element, path) for element in value)
    if path in DATE_KEYS and DATE.match(value):
        return value
    return _string(value, path)


def _string(value, path):
    """Returns a basic string of TOML."""
    try:
        value.encode("utf-8")
    except UnicodeError:
        raise NotTomlError("`%s` contains bytes that are not UTF-8" % path)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"%s"' % re.sub("[\x00-\x1f\x7f]", lambda c: "\\u%04X" % ord(c.group()), escaped)
