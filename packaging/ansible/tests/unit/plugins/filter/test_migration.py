# Copyright: the jailctl authors
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Proposals for the jails of other tools."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.jailctl.core.plugins.filter.from_jailkit import from_jailkit
from ansible_collections.jailctl.core.plugins.filter.from_ssh_chroot_jail import (
    from_ssh_chroot_jail,
)


def test_variables_of_the_role_become_a_spec():
    variables = {
        "ssh_chroot_bins": ["/bin/ls", {"bin": "/usr/bin/which", "l2chroot": False}, "/bin/bash"],
        "ssh_chroot_jail_users": [{"name": "foo", "home": "/home/foo", "shell": "/bin/bash"}],
    }
    assert from_ssh_chroot_jail(variables, "web") == [{
        "name": "web",
        "templates": ["shell"],
        "optional": ["/bin/bash", "/bin/ls", "/usr/bin/which"],
        "user": [{"name": "foo", "adopt": True, "password": "unchanged", "shell": "/bin/bash"}],
    }]


def test_accounts_of_jailkit_become_specs_of_their_jails():
    passwd = [
        "root:x:0:0:root:/root:/bin/bash",
        "ann:x:1001:1001::/srv/Jail One/./home/ann:/usr/sbin/jk_chrootsh",
        "bob:x:1002:1002::/srv/2nd/./home/bob:/usr/sbin/jk_chrootsh",
        "eve:x:1003:1003::/home/eve:/usr/sbin/jk_lsh",
    ]
    specs = from_jailkit(passwd, {"/srv/Jail One": ["/bin/bash", "/bin/ls"]})
    assert [spec["name"] for spec in specs] == ["jail2nd", "jailone"]
    assert specs[1]["templates"] == ["shell"]
    assert specs[1]["user"] == [
        {"name": "ann", "adopt": True, "password": "unchanged", "home": "/home/ann"}]
    assert "templates" not in specs[0]
