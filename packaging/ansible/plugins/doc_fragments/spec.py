# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Generated from the table of keys of jailctl: `UPDATE=1 cargo test --test packaging` writes it again.

from __future__ import absolute_import, division, print_function

__metaclass__ = type


class ModuleDocFragment(object):
    """Options of specs."""

    DOCUMENTATION = r"""
options:
  spec:
    description: The spec of one jail.
    type: dict
    suboptions:
      name:
        description:
          - >-
            Name of the jail; the group of its accounts is C(jail-<name>).
          - >-
            A jail name has 1 to 27 characters: a-z first, then a-z, 0-9, C(_) and C(-).
        type: str
        required: true
      root:
        description:
          - >-
            Root directory of the jail on the host; with the component C(%u), one jail per user,
            at the path with the user's name.
          - >-
            Default: "/srv/jails/<name>".
          - >-
            A root is an absolute path of two or more components in a-z, A-Z, 0-9, C(.), C(_)
            and C(-), such as C(/srv/jails/arkham); the component C(%u) is replaced by each user
            name.
        type: str
      templates:
        description:
          - >-
            Partial specs, merged in order below this file: later values replace earlier ones;
            lists that add content are concatenated; lists that grant access (ways in, ports,
            devices) in this file replace those of the templates.
          - >-
            Default: [].
          - >-
            A template name has 1 to 32 characters: a-z first, then a-z, 0-9, C(_) and C(-).
        type: list
        elements: str
      binaries:
        description:
          - >-
            Programs of the jail: names on the host's PATH or absolute paths; their dependencies
            are included.
          - >-
            Default: [].
          - >-
            Write a name on the host's PATH such as C(ls), or an absolute path such as
            C(/opt/tool/bin/tool).
        type: list
        elements: str
      optional:
        description:
          - >-
            Like C(binaries), but a program that the host lacks is a notice, not an error.
          - >-
            Default: [].
          - >-
            Write a name on the host's PATH such as C(ls), or an absolute path such as
            C(/opt/tool/bin/tool).
        type: list
        elements: str
      packages:
        description:
          - >-
            Host packages: all their files except documentation, and the dependencies of their
            programs; packages that they depend on are included, see C(package_dependencies).
          - >-
            Default: [].
          - >-
            Write the names that the host's package manager uses, each as a separate string.
        type: list
        elements: str
      package_dependencies:
        description:
          - >-
            Packages that are included with those of C(packages): none, what they require, or
            what they recommend too; packages that start the system or manage packages are left
            out.
          - >-
            Default: "required".
        type: str
        choices: [none, required, recommended]
      dlopen:
        description:
          - >-
            Lowest priority of the dlopen notes whose libraries are included.
          - >-
            Default: "recommended".
        type: str
        choices: [required, recommended, suggested, none]
      plain_chroot:
        description:
          - >-
            Shells run in a plain chroot, even if the host could isolate their sessions.
          - >-
            Default: false; if C(pam_jailctl.so) is installed, sessions of a jail with a shell
            are isolated as with an empty C([namespaces]).
        type: bool
      user:
        description:
          - >-
            An account of the jail; jailctl creates it.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          name:
            description:
              - >-
                Login name.
              - >-
                A name has 1 to 32 characters: a-z or C(_) first, then a-z, 0-9, C(_) and C(-).
            type: str
            required: true
          was:
            description:
              - >-
                Former login name: the next build renames that account, and keeps its user id,
                home, password and keys; without effect once it is renamed.
              - >-
                Default: none.
              - >-
                A name has 1 to 32 characters: a-z or C(_) first, then a-z, 0-9, C(_) and C(-).
            type: str
          adopt:
            description:
              - >-
                Take over an existing account that jailctl did not create; it is restored when
                the jail is removed.
              - >-
                Default: false.
            type: bool
          allow:
            description:
              - >-
                Ways in of this user, instead of those of the jail.
              - >-
                Default: C(allow) of C([sshd]).
            type: list
            elements: str
            choices: [shell, sftp, forward, scp, rsync, git, borg, restic, command]
          command:
            description:
              - >-
                Program and arguments of the way in C(command), instead of those of the jail.
              - >-
                Default: C(command) of C([sshd]).
              - >-
                Write each argument as a separate string of one line without control characters.
            type: list
            elements: str
          shell:
            description:
              - >-
                Login shell, a path inside the jail; must be one of its programs.
              - >-
                Default: the first shell in C(binaries).
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          home:
            description:
              - >-
                Home directory, a path inside the jail.
              - >-
                Default: "/home/<name>".
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          authorized_keys:
            description:
              - >-
                Public keys that may log in; stored outside of the jail, where the user cannot
                change them.
              - >-
                Default: [].
              - >-
                Write the line of the user's .pub file: key type, key, comment.
            type: list
            elements: str
          password:
            description:
              - >-
                C(locked), C(unchanged) (jailctl does not touch it) or a crypt(5) hash.
              - >-
                Default: "locked".
              - >-
                Create a hash with C(mkpasswd) or C(openssl passwd -6) and put it between single
                quotes.
            type: str
          groups:
            description:
              - >-
                Supplementary groups; created if the host lacks them.
              - >-
                Default: [].
              - >-
                A name has 1 to 32 characters: a-z or C(_) first, then a-z, 0-9, C(_) and C(-).
            type: list
            elements: str
          uid:
            description:
              - >-
                User id.
              - >-
                Default: the next unused id.
            type: int
          expires:
            description:
              - >-
                Day from which the account is expired.
              - >-
                Default: never.
            type: str
          skel:
            description:
              - >-
                Host directory that is copied into a new home.
              - >-
                Default: none.
              - >-
                Write an absolute host path without C(.), C(..) and a final C(/).
            type: str
      sshd:
        description:
          - >-
            Sshd settings for the users of the jail.
        type: dict
        suboptions:
          allow:
            description:
              - >-
                Ways in; C(shell) includes all programs of the jail; C(scp) (C(scp -O)),
                C(rsync), C(git), C(borg) and C(restic) allow what their clients send and
                nothing else; C(command) runs one command; C(forward) permits C(ssh -L), C(-D)
                and C(-W) into the network of the session, which must not be that of the host.
              - >-
                Default: ["sftp"], and "shell" if C(binaries) contain a shell.
            type: list
            elements: str
            choices: [shell, sftp, forward, scp, rsync, git, borg, restic, command]
          command:
            description:
              - >-
                Program and arguments of the way in C(command): run for each connection that no
                other way in of the user takes, with the command line of the client in
                C(SSH_ORIGINAL_COMMAND); without a shell.
              - >-
                Write each argument as a separate string of one line without control characters.
            type: list
            elements: str
          start_dir:
            description:
              - >-
                Start directory of sftp; only without C(shell).
              - >-
                Default: the home directory.
              - >-
                Write a directory of the jail in a-z, A-Z, 0-9, C(.), C(_), C(-) and C(/), such
                as C(/upload).
            type: str
          umask:
            description:
              - >-
                Umask of sftp and of programs; only without C(shell).
              - >-
                Default: umask of sshd, 0022 on most hosts.
              - >-
                A umask is a string of octal digits, such as "0027".
            type: raw
          sftp_log:
            description:
              - >-
                Log sftp transfers to the host's log; only without C(shell); needs isolated
                sessions.
              - >-
                Default: false.
            type: bool
      sftp:
        description:
          - >-
            Limits of the way in C(sftp).
        type: dict
        suboptions:
          mode:
            description:
              - >-
                C(read-only): no file can be changed.
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, read-only]
      scp:
        description:
          - >-
            Limits of the way in C(scp), the older protocol of scp(1).
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(write-only): the protocol returns no content.
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, read-only, write-only]
      rsync:
        description:
          - >-
            Limits of the way in C(rsync).
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(append-only): existing files are neither changed nor deleted; C(write-only):
                the protocol returns no content.
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, read-only, write-only, append-only]
      git:
        description:
          - >-
            Limits of the way in C(git).
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(read-only): no push.
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, read-only]
      borg:
        description:
          - >-
            Limits of the way in C(borg).
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(append-only): as C(borg serve --append-only).
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, append-only]
      restic:
        description:
          - >-
            Limits of the way in C(restic); restic uses it with C(rclone) as backend.
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(append-only): as C(rclone serve restic --append-only).
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, append-only]
      file:
        description:
          - >-
            A file or tree of the host, or text from the spec.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          source:
            description:
              - >-
                Host path to copy; alternative to C(content).
              - >-
                Write an absolute host path without C(.), C(..) and a final C(/).
            type: str
          content:
            description:
              - >-
                Text of the file; alternative to C(source).
              - >-
                Text may contain newlines and tabs, but no other control characters.
            type: str
          target:
            description:
              - >-
                Path inside the jail.
              - >-
                Default: the path of C(source).
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                Permission bits, in octal.
              - >-
                Default: "0644" with C(content), otherwise that of C(source).
              - >-
                A mode is a string of octal digits without write permission for group and
                others, such as "0644" or "0750".
            type: raw
      dir:
        description:
          - >-
            A directory that is created if it does not exist.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          path:
            description:
              - >-
                Path inside the jail.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
            required: true
          owner:
            description:
              - >-
                Owner: a user of the jail.
              - >-
                Default: root.
              - >-
                A name has 1 to 32 characters: a-z or C(_) first, then a-z, 0-9, C(_) and C(-).
            type: str
          group:
            description:
              - >-
                Group: that of the jail, C(jail-<name>), or one of the C(groups) of a user.
              - >-
                Default: the primary group of the owner.
              - >-
                Write the group of the jail, such as "jail-arkham", or one of the C(groups) of a
                user.
            type: str
          mode:
            description:
              - >-
                Permission bits, in octal; write permission for the group and the setgid bit
                only with C(group).
              - >-
                Default: "0755", with C(group) "2775".
              - >-
                The mode of a directory is a string of octal digits without write permission for
                others, such as "0750" or "2770".
            type: raw
      mount:
        description:
          - >-
            A file system that is mounted in sessions; never mounted on the host.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          source:
            description:
              - >-
                Host directory, or C(tmpfs) (a separate one per session), C(proc) (processes of
                the session) or C(sysfs) (read-only).
              - >-
                Write an absolute host path without C(.), C(..) and a final C(/).
            type: str
            required: true
          target:
            description:
              - >-
                Mount point inside the jail, not in a directory of a user and not below C(/tmp),
                C(/etc) or C(/usr).
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
            required: true
          options:
            description:
              - >-
                C(ro) or C(rw), C(nosuid) or C(suid), C(nodev) or C(dev), C(noexec) or C(exec);
                for tmpfs also C(size=) (bytes, or a percentage of memory such as C(10%)) and
                C(mode=); C(suid), C(dev) and C(exec) must be given explicitly.
              - >-
                Default: C(ro) (C(rw) with tmpfs and proc), C(nosuid), C(nodev), C(noexec).
              - >-
                Write C(ro) or C(rw), C(nosuid) or C(suid), C(nodev) or C(dev), C(noexec) or
                C(exec), and for tmpfs C(size=64M) or C(mode=1777).
            type: list
            elements: str
          optional:
            description:
              - >-
                While the host directory is missing, sessions begin without it and see an empty
                directory; otherwise no session begins.
              - >-
                Default: false.
            type: bool
      namespaces:
        description:
          - >-
            Namespaces of each session; without this table, C([network]), C([limits]),
            C([[mount]]) and C(sftp_log), a jail with a shell has the defaults of this table if
            C(pam_jailctl.so) is installed, and every other jail is a plain chroot.
        type: dict
        suboptions:
          pid:
            description:
              - >-
                Separate process ids.
              - >-
                Default: true.
            type: bool
          mnt:
            description:
              - >-
                Separate mounts, which include the root of the jail.
              - >-
                Default: true.
            type: bool
          uts:
            description:
              - >-
                Separate host name.
              - >-
                Default: true.
            type: bool
          ipc:
            description:
              - >-
                Separate shared memory, message queues and semaphores; required if C(memory) is
                limited.
              - >-
                Default: true.
            type: bool
          cgroup:
            description:
              - >-
                Separate view of the control groups.
              - >-
                Default: true.
            type: bool
          user:
            description:
              - >-
                Separate user ids: only those of root and of the jail are mapped.
              - >-
                Default: false.
            type: bool
      network:
        description:
          - >-
            Network of the sessions.
        type: dict
        suboptions:
          mode:
            description:
              - >-
                C(host): that of the host; C(none): only a loopback interface; C(private): one
                network per jail, which reaches others through NAT.
              - >-
                Default: "private" with C(allow_in) or C(allow_out); "none" if C(allow) is
                C(["sftp"]); otherwise "host".
            type: str
            choices: [host, none, private]
          allow_in:
            description:
              - >-
                Ports of the private network that others may reach through the host's addresses.
              - >-
                Default: [].
              - >-
                Write C(tcp/) or C(udp/) and a port from 1 to 65535, such as "tcp/80".
            type: list
            elements: str
          allow_out:
            description:
              - >-
                Ports that the private network may reach, with at most 4096 concurrent
                connections; never the host itself, and of link-local addresses (169.254.0.0/16)
                only port 53.
              - >-
                Default: [].
              - >-
                Write C(tcp/) or C(udp/) and a port from 1 to 65535, such as "tcp/80".
            type: list
            elements: str
      limits:
        description:
          - >-
            Limits on all sessions of the jail together; a limit that the host cannot enforce is
            refused.
        type: dict
        suboptions:
          memory:
            description:
              - >-
                Memory, in bytes.
              - >-
                Default: none.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          swap:
            description:
              - >-
                Swap space, in bytes, in addition to C(memory); C(0) for none.
              - >-
                Default: none.
              - >-
                Write a number with C(K), C(M), C(G) or C(T), such as "256M", or "0".
            type: str
          cpu:
            description:
              - >-
                Processor time, in percent of one CPU.
              - >-
                Default: none.
              - >-
                Write a percentage of one CPU, such as "50%" or "200%".
            type: str
          cpu_weight:
            description:
              - >-
                Processor weight under contention; the default of other groups is 100.
              - >-
                Default: 100.
            type: int
          cpus:
            description:
              - >-
                Processors that may be used.
              - >-
                Default: all.
              - >-
                Write numbers and ranges separated by commas, such as "0-2,4".
            type: str
          tasks:
            description:
              - >-
                Processes and threads, including two or three of sshd per connection.
              - >-
                Default: none.
            type: int
          io_weight:
            description:
              - >-
                Disk weight under contention; the default of other groups is 100.
              - >-
                Default: 100.
            type: int
          io_read:
            description:
              - >-
                Bytes per second read from each disk that contains the jail or a C([[mount]]).
              - >-
                Default: none.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          io_write:
            description:
              - >-
                Bytes per second written to each of these disks; with cgroup v1, buffered writes
                are not limited.
              - >-
                Default: none.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          io_read_ops:
            description:
              - >-
                Read operations per second on each of these disks.
              - >-
                Default: none.
            type: int
          io_write_ops:
            description:
              - >-
                Write operations per second on each of these disks.
              - >-
                Default: none.
            type: int
          devices:
            description:
              - >-
                Host devices that may be used in addition to those in C(/dev) of the jail; all
                others are denied.
              - >-
                Default: all.
              - >-
                Write the path of a character device below /dev, such as "/dev/fuse".
            type: list
            elements: str
          hugetlb:
            description:
              - >-
                Huge pages, in bytes, for each page size.
              - >-
                Default: none.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          net_cls_classid:
            description:
              - >-
                Class of packets for tc(8) and netfilter; cgroup v1 only.
              - >-
                Default: none.
            type: int
          net_prio:
            description:
              - >-
                Priority of packets on each interface of the host; cgroup v1 only.
              - >-
                Default: none.
            type: int
          open_files:
            description:
              - >-
                Open files per process, including the sshd processes of the connection.
              - >-
                Default: 1024 with C(memory), otherwise the limit of sshd.
            type: int
          core_size:
            description:
              - >-
                Core dump, in bytes; if core_pattern of the host names a program, the kernel
                runs it as root, outside of these limits.
              - >-
                Default: no core dumps.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          max_sessions:
            description:
              - >-
                Concurrent sessions.
              - >-
                Default: none.
            type: int
          cgroup_parent:
            description:
              - >-
                Control group below which that of the jail is created, in each hierarchy; it
                must exist when a session starts, and is never changed.
              - >-
                Default: one that exists while sessions exist.
              - >-
                Write its path in the hierarchy, in a-z, A-Z, 0-9, C(.), C(_) and C(-), such as
                "/customers/acme".
            type: str
      test:
        description:
          - >-
            A command that must succeed in the new tree before it goes live; it runs with the
            name and groups of the first user, and an unused user id.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          run:
            description:
              - >-
                Command and arguments.
              - >-
                Write each argument as a separate string of one line without control characters.
            type: list
            elements: str
            required: true
  jails:
    description: The specs of several jails, which are built in one transaction.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - >-
            Name of the jail; the group of its accounts is C(jail-<name>).
          - >-
            A jail name has 1 to 27 characters: a-z first, then a-z, 0-9, C(_) and C(-).
        type: str
        required: true
      root:
        description:
          - >-
            Root directory of the jail on the host; with the component C(%u), one jail per user,
            at the path with the user's name.
          - >-
            Default: "/srv/jails/<name>".
          - >-
            A root is an absolute path of two or more components in a-z, A-Z, 0-9, C(.), C(_)
            and C(-), such as C(/srv/jails/arkham); the component C(%u) is replaced by each user
            name.
        type: str
      templates:
        description:
          - >-
            Partial specs, merged in order below this file: later values replace earlier ones;
            lists that add content are concatenated; lists that grant access (ways in, ports,
            devices) in this file replace those of the templates.
          - >-
            Default: [].
          - >-
            A template name has 1 to 32 characters: a-z first, then a-z, 0-9, C(_) and C(-).
        type: list
        elements: str
      binaries:
        description:
          - >-
            Programs of the jail: names on the host's PATH or absolute paths; their dependencies
            are included.
          - >-
            Default: [].
          - >-
            Write a name on the host's PATH such as C(ls), or an absolute path such as
            C(/opt/tool/bin/tool).
        type: list
        elements: str
      optional:
        description:
          - >-
            Like C(binaries), but a program that the host lacks is a notice, not an error.
          - >-
            Default: [].
          - >-
            Write a name on the host's PATH such as C(ls), or an absolute path such as
            C(/opt/tool/bin/tool).
        type: list
        elements: str
      packages:
        description:
          - >-
            Host packages: all their files except documentation, and the dependencies of their
            programs; packages that they depend on are included, see C(package_dependencies).
          - >-
            Default: [].
          - >-
            Write the names that the host's package manager uses, each as a separate string.
        type: list
        elements: str
      package_dependencies:
        description:
          - >-
            Packages that are included with those of C(packages): none, what they require, or
            what they recommend too; packages that start the system or manage packages are left
            out.
          - >-
            Default: "required".
        type: str
        choices: [none, required, recommended]
      dlopen:
        description:
          - >-
            Lowest priority of the dlopen notes whose libraries are included.
          - >-
            Default: "recommended".
        type: str
        choices: [required, recommended, suggested, none]
      plain_chroot:
        description:
          - >-
            Shells run in a plain chroot, even if the host could isolate their sessions.
          - >-
            Default: false; if C(pam_jailctl.so) is installed, sessions of a jail with a shell
            are isolated as with an empty C([namespaces]).
        type: bool
      user:
        description:
          - >-
            An account of the jail; jailctl creates it.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          name:
            description:
              - >-
                Login name.
              - >-
                A name has 1 to 32 characters: a-z or C(_) first, then a-z, 0-9, C(_) and C(-).
            type: str
            required: true
          was:
            description:
              - >-
                Former login name: the next build renames that account, and keeps its user id,
                home, password and keys; without effect once it is renamed.
              - >-
                Default: none.
              - >-
                A name has 1 to 32 characters: a-z or C(_) first, then a-z, 0-9, C(_) and C(-).
            type: str
          adopt:
            description:
              - >-
                Take over an existing account that jailctl did not create; it is restored when
                the jail is removed.
              - >-
                Default: false.
            type: bool
          allow:
            description:
              - >-
                Ways in of this user, instead of those of the jail.
              - >-
                Default: C(allow) of C([sshd]).
            type: list
            elements: str
            choices: [shell, sftp, forward, scp, rsync, git, borg, restic, command]
          command:
            description:
              - >-
                Program and arguments of the way in C(command), instead of those of the jail.
              - >-
                Default: C(command) of C([sshd]).
              - >-
                Write each argument as a separate string of one line without control characters.
            type: list
            elements: str
          shell:
            description:
              - >-
                Login shell, a path inside the jail; must be one of its programs.
              - >-
                Default: the first shell in C(binaries).
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          home:
            description:
              - >-
                Home directory, a path inside the jail.
              - >-
                Default: "/home/<name>".
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          authorized_keys:
            description:
              - >-
                Public keys that may log in; stored outside of the jail, where the user cannot
                change them.
              - >-
                Default: [].
              - >-
                Write the line of the user's .pub file: key type, key, comment.
            type: list
            elements: str
          password:
            description:
              - >-
                C(locked), C(unchanged) (jailctl does not touch it) or a crypt(5) hash.
              - >-
                Default: "locked".
              - >-
                Create a hash with C(mkpasswd) or C(openssl passwd -6) and put it between single
                quotes.
            type: str
          groups:
            description:
              - >-
                Supplementary groups; created if the host lacks them.
              - >-
                Default: [].
              - >-
                A name has 1 to 32 characters: a-z or C(_) first, then a-z, 0-9, C(_) and C(-).
            type: list
            elements: str
          uid:
            description:
              - >-
                User id.
              - >-
                Default: the next unused id.
            type: int
          expires:
            description:
              - >-
                Day from which the account is expired.
              - >-
                Default: never.
            type: str
          skel:
            description:
              - >-
                Host directory that is copied into a new home.
              - >-
                Default: none.
              - >-
                Write an absolute host path without C(.), C(..) and a final C(/).
            type: str
      sshd:
        description:
          - >-
            Sshd settings for the users of the jail.
        type: dict
        suboptions:
          allow:
            description:
              - >-
                Ways in; C(shell) includes all programs of the jail; C(scp) (C(scp -O)),
                C(rsync), C(git), C(borg) and C(restic) allow what their clients send and
                nothing else; C(command) runs one command; C(forward) permits C(ssh -L), C(-D)
                and C(-W) into the network of the session, which must not be that of the host.
              - >-
                Default: ["sftp"], and "shell" if C(binaries) contain a shell.
            type: list
            elements: str
            choices: [shell, sftp, forward, scp, rsync, git, borg, restic, command]
          command:
            description:
              - >-
                Program and arguments of the way in C(command): run for each connection that no
                other way in of the user takes, with the command line of the client in
                C(SSH_ORIGINAL_COMMAND); without a shell.
              - >-
                Write each argument as a separate string of one line without control characters.
            type: list
            elements: str
          start_dir:
            description:
              - >-
                Start directory of sftp; only without C(shell).
              - >-
                Default: the home directory.
              - >-
                Write a directory of the jail in a-z, A-Z, 0-9, C(.), C(_), C(-) and C(/), such
                as C(/upload).
            type: str
          umask:
            description:
              - >-
                Umask of sftp and of programs; only without C(shell).
              - >-
                Default: umask of sshd, 0022 on most hosts.
              - >-
                A umask is a string of octal digits, such as "0027".
            type: raw
          sftp_log:
            description:
              - >-
                Log sftp transfers to the host's log; only without C(shell); needs isolated
                sessions.
              - >-
                Default: false.
            type: bool
      sftp:
        description:
          - >-
            Limits of the way in C(sftp).
        type: dict
        suboptions:
          mode:
            description:
              - >-
                C(read-only): no file can be changed.
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, read-only]
      scp:
        description:
          - >-
            Limits of the way in C(scp), the older protocol of scp(1).
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(write-only): the protocol returns no content.
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, read-only, write-only]
      rsync:
        description:
          - >-
            Limits of the way in C(rsync).
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(append-only): existing files are neither changed nor deleted; C(write-only):
                the protocol returns no content.
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, read-only, write-only, append-only]
      git:
        description:
          - >-
            Limits of the way in C(git).
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(read-only): no push.
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, read-only]
      borg:
        description:
          - >-
            Limits of the way in C(borg).
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(append-only): as C(borg serve --append-only).
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, append-only]
      restic:
        description:
          - >-
            Limits of the way in C(restic); restic uses it with C(rclone) as backend.
        type: dict
        suboptions:
          path:
            description:
              - >-
                Directory inside the jail that this way in is limited to; the component C(%u) is
                the name of the user; relative paths of clients are relative to it.
              - >-
                Default: the whole jail; relative paths are relative to the home.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                C(append-only): as C(rclone serve restic --append-only).
              - >-
                Default: "read-write".
            type: str
            choices: [read-write, append-only]
      file:
        description:
          - >-
            A file or tree of the host, or text from the spec.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          source:
            description:
              - >-
                Host path to copy; alternative to C(content).
              - >-
                Write an absolute host path without C(.), C(..) and a final C(/).
            type: str
          content:
            description:
              - >-
                Text of the file; alternative to C(source).
              - >-
                Text may contain newlines and tabs, but no other control characters.
            type: str
          target:
            description:
              - >-
                Path inside the jail.
              - >-
                Default: the path of C(source).
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
          mode:
            description:
              - >-
                Permission bits, in octal.
              - >-
                Default: "0644" with C(content), otherwise that of C(source).
              - >-
                A mode is a string of octal digits without write permission for group and
                others, such as "0644" or "0750".
            type: raw
      dir:
        description:
          - >-
            A directory that is created if it does not exist.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          path:
            description:
              - >-
                Path inside the jail.
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
            required: true
          owner:
            description:
              - >-
                Owner: a user of the jail.
              - >-
                Default: root.
              - >-
                A name has 1 to 32 characters: a-z or C(_) first, then a-z, 0-9, C(_) and C(-).
            type: str
          group:
            description:
              - >-
                Group: that of the jail, C(jail-<name>), or one of the C(groups) of a user.
              - >-
                Default: the primary group of the owner.
              - >-
                Write the group of the jail, such as "jail-arkham", or one of the C(groups) of a
                user.
            type: str
          mode:
            description:
              - >-
                Permission bits, in octal; write permission for the group and the setgid bit
                only with C(group).
              - >-
                Default: "0755", with C(group) "2775".
              - >-
                The mode of a directory is a string of octal digits without write permission for
                others, such as "0750" or "2770".
            type: raw
      mount:
        description:
          - >-
            A file system that is mounted in sessions; never mounted on the host.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          source:
            description:
              - >-
                Host directory, or C(tmpfs) (a separate one per session), C(proc) (processes of
                the session) or C(sysfs) (read-only).
              - >-
                Write an absolute host path without C(.), C(..) and a final C(/).
            type: str
            required: true
          target:
            description:
              - >-
                Mount point inside the jail, not in a directory of a user and not below C(/tmp),
                C(/etc) or C(/usr).
              - >-
                Write an absolute path inside the jail without C(.), C(..) and a final C(/).
            type: str
            required: true
          options:
            description:
              - >-
                C(ro) or C(rw), C(nosuid) or C(suid), C(nodev) or C(dev), C(noexec) or C(exec);
                for tmpfs also C(size=) (bytes, or a percentage of memory such as C(10%)) and
                C(mode=); C(suid), C(dev) and C(exec) must be given explicitly.
              - >-
                Default: C(ro) (C(rw) with tmpfs and proc), C(nosuid), C(nodev), C(noexec).
              - >-
                Write C(ro) or C(rw), C(nosuid) or C(suid), C(nodev) or C(dev), C(noexec) or
                C(exec), and for tmpfs C(size=64M) or C(mode=1777).
            type: list
            elements: str
          optional:
            description:
              - >-
                While the host directory is missing, sessions begin without it and see an empty
                directory; otherwise no session begins.
              - >-
                Default: false.
            type: bool
      namespaces:
        description:
          - >-
            Namespaces of each session; without this table, C([network]), C([limits]),
            C([[mount]]) and C(sftp_log), a jail with a shell has the defaults of this table if
            C(pam_jailctl.so) is installed, and every other jail is a plain chroot.
        type: dict
        suboptions:
          pid:
            description:
              - >-
                Separate process ids.
              - >-
                Default: true.
            type: bool
          mnt:
            description:
              - >-
                Separate mounts, which include the root of the jail.
              - >-
                Default: true.
            type: bool
          uts:
            description:
              - >-
                Separate host name.
              - >-
                Default: true.
            type: bool
          ipc:
            description:
              - >-
                Separate shared memory, message queues and semaphores; required if C(memory) is
                limited.
              - >-
                Default: true.
            type: bool
          cgroup:
            description:
              - >-
                Separate view of the control groups.
              - >-
                Default: true.
            type: bool
          user:
            description:
              - >-
                Separate user ids: only those of root and of the jail are mapped.
              - >-
                Default: false.
            type: bool
      network:
        description:
          - >-
            Network of the sessions.
        type: dict
        suboptions:
          mode:
            description:
              - >-
                C(host): that of the host; C(none): only a loopback interface; C(private): one
                network per jail, which reaches others through NAT.
              - >-
                Default: "private" with C(allow_in) or C(allow_out); "none" if C(allow) is
                C(["sftp"]); otherwise "host".
            type: str
            choices: [host, none, private]
          allow_in:
            description:
              - >-
                Ports of the private network that others may reach through the host's addresses.
              - >-
                Default: [].
              - >-
                Write C(tcp/) or C(udp/) and a port from 1 to 65535, such as "tcp/80".
            type: list
            elements: str
          allow_out:
            description:
              - >-
                Ports that the private network may reach, with at most 4096 concurrent
                connections; never the host itself, and of link-local addresses (169.254.0.0/16)
                only port 53.
              - >-
                Default: [].
              - >-
                Write C(tcp/) or C(udp/) and a port from 1 to 65535, such as "tcp/80".
            type: list
            elements: str
      limits:
        description:
          - >-
            Limits on all sessions of the jail together; a limit that the host cannot enforce is
            refused.
        type: dict
        suboptions:
          memory:
            description:
              - >-
                Memory, in bytes.
              - >-
                Default: none.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          swap:
            description:
              - >-
                Swap space, in bytes, in addition to C(memory); C(0) for none.
              - >-
                Default: none.
              - >-
                Write a number with C(K), C(M), C(G) or C(T), such as "256M", or "0".
            type: str
          cpu:
            description:
              - >-
                Processor time, in percent of one CPU.
              - >-
                Default: none.
              - >-
                Write a percentage of one CPU, such as "50%" or "200%".
            type: str
          cpu_weight:
            description:
              - >-
                Processor weight under contention; the default of other groups is 100.
              - >-
                Default: 100.
            type: int
          cpus:
            description:
              - >-
                Processors that may be used.
              - >-
                Default: all.
              - >-
                Write numbers and ranges separated by commas, such as "0-2,4".
            type: str
          tasks:
            description:
              - >-
                Processes and threads, including two or three of sshd per connection.
              - >-
                Default: none.
            type: int
          io_weight:
            description:
              - >-
                Disk weight under contention; the default of other groups is 100.
              - >-
                Default: 100.
            type: int
          io_read:
            description:
              - >-
                Bytes per second read from each disk that contains the jail or a C([[mount]]).
              - >-
                Default: none.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          io_write:
            description:
              - >-
                Bytes per second written to each of these disks; with cgroup v1, buffered writes
                are not limited.
              - >-
                Default: none.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          io_read_ops:
            description:
              - >-
                Read operations per second on each of these disks.
              - >-
                Default: none.
            type: int
          io_write_ops:
            description:
              - >-
                Write operations per second on each of these disks.
              - >-
                Default: none.
            type: int
          devices:
            description:
              - >-
                Host devices that may be used in addition to those in C(/dev) of the jail; all
                others are denied.
              - >-
                Default: all.
              - >-
                Write the path of a character device below /dev, such as "/dev/fuse".
            type: list
            elements: str
          hugetlb:
            description:
              - >-
                Huge pages, in bytes, for each page size.
              - >-
                Default: none.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          net_cls_classid:
            description:
              - >-
                Class of packets for tc(8) and netfilter; cgroup v1 only.
              - >-
                Default: none.
            type: int
          net_prio:
            description:
              - >-
                Priority of packets on each interface of the host; cgroup v1 only.
              - >-
                Default: none.
            type: int
          open_files:
            description:
              - >-
                Open files per process, including the sshd processes of the connection.
              - >-
                Default: 1024 with C(memory), otherwise the limit of sshd.
            type: int
          core_size:
            description:
              - >-
                Core dump, in bytes; if core_pattern of the host names a program, the kernel
                runs it as root, outside of these limits.
              - >-
                Default: no core dumps.
              - >-
                A size is a number with C(K), C(M), C(G) or C(T), such as "256M".
            type: str
          max_sessions:
            description:
              - >-
                Concurrent sessions.
              - >-
                Default: none.
            type: int
          cgroup_parent:
            description:
              - >-
                Control group below which that of the jail is created, in each hierarchy; it
                must exist when a session starts, and is never changed.
              - >-
                Default: one that exists while sessions exist.
              - >-
                Write its path in the hierarchy, in a-z, A-Z, 0-9, C(.), C(_) and C(-), such as
                "/customers/acme".
            type: str
      test:
        description:
          - >-
            A command that must succeed in the new tree before it goes live; it runs with the
            name and groups of the first user, and an unused user id.
          - >-
            Default: none.
        type: list
        elements: dict
        suboptions:
          run:
            description:
              - >-
                Command and arguments.
              - >-
                Write each argument as a separate string of one line without control characters.
            type: list
            elements: str
            required: true
"""
