# Copyright: the jailctl authors
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Specs as TOML, read back by a parser of TOML."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import datetime

import pytest
from ansible_collections.jailctl.core.plugins.module_utils import toml

tomllib = pytest.importorskip("tomllib")


def read(spec):
    return tomllib.loads(toml.spec_text(spec))


def test_tables_and_arrays_of_tables_are_read_back():
    spec = {
        "name": "arkham",
        "binaries": ["ls", "cat"],
        "plain_chroot": True,
        "user": [{"name": "harlequin", "uid": 4101}, {"name": "ivy"}],
        "limits": {"tasks": 64, "memory": "256M"},
        "namespaces": {},
    }
    assert read(spec) == spec


def test_missing_values_are_left_out_and_empty_tables_are_not():
    text = toml.spec_text({"name": "a", "root": None, "sshd": None, "namespaces": {"pid": None}})
    assert text == toml.HEADER + 'name = "a"\n\n[namespaces]\n'


@pytest.mark.parametrize("value", [
    'a"b', "a\\b", "a\nb", "\t", "\x00", "\x7f", "'''", '"""', "$(reboot)", "`reboot`",
    '"]\nbinaries = ["x', "\u2028", "\u00e9", "\U0001f600", "# no comment",
])
def test_strings_are_read_back_as_they_were(value):
    spec = {"name": "a", "file": [{"content": value, "target": "/x"}]}
    assert read(spec) == spec


def test_dates_have_no_quotes_and_other_strings_have():
    user = {"name": "bob", "expires": "2027-01-31"}
    assert read({"name": "a", "user": [user]})["user"][0]["expires"] == datetime.date(2027, 1, 31)
    user["expires"] = '2027-01-31\nadopt = true'
    assert read({"name": "a", "user": [user]})["user"] == [user]


def test_numbers_for_octal_digits_name_the_key():
    with pytest.raises(toml.NotTomlError, match="`dir.mode` is not a string"):
        toml.spec_text({"name": "a", "dir": [{"path": "/x", "mode": 0o644}]})
    with pytest.raises(toml.NotTomlError, match="`sshd.umask` is not a string"):
        toml.spec_text({"name": "a", "sshd": {"umask": ["0027"]}})


def test_bytes_that_are_not_utf8_name_the_key():
    with pytest.raises(toml.NotTomlError, match="`user.name` contains bytes"):
        toml.spec_text({"name": "a", "user": [{"name": "\udcff"}]})


def test_the_same_values_are_the_same_text():
    one = {"name": "a", "binaries": ["ls"], "root": "/srv/jails/a"}
    other = {"root": "/srv/jails/a", "binaries": ["ls"], "name": "a"}
    assert toml.spec_text(one) == toml.spec_text(other)
