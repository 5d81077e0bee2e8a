# Copyright: the jailctl authors
# SPDX-License-Identifier: MIT OR Apache-2.0

"""Arguments of the command, its answers, and the spec files around a build.

The command is a program that records its arguments and prints an answer; real hosts are in
`tests/ansible` of jailctl.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import stat
import sys

import pytest
from ansible.module_utils import basic
from ansible_collections.jailctl.core.plugins.modules import jail, jail_info, jail_session

HASH = "$6$salt$secretsecretsecret"

PROGRAM = """#!%s
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
verb = sys.argv[1]
specs = {}
for word in sys.argv[2:]:
    if word.endswith(".toml"):
        specs[os.path.basename(word)] = open(word).read()
with open(os.path.join(here, "calls"), "a") as calls:
    calls.write(json.dumps({"arguments": sys.argv[1:], "specs": specs}) + "\\n")
with open(os.path.join(here, "answers")) as answers:
    status, text = json.load(answers)[verb]
sys.stdout.write(text)
sys.exit(status)
""" % sys.executable

CHANGED = {
    "schema": 1,
    "changed": True,
    "warnings": ["a notice", "a notice"],
    "jails": [{
        "name": "arkham",
        "root": "/srv/jails/arkham",
        "changed": True,
        "ways_in": ["sftp"],
        "steps": [{"step": "tree", "changes": [{"path": "/bin"}], "totals": {"added": 1}}],
        "diff": {"before": "", "after": "root created\n"},
    }],
}
NOTHING = {"schema": 1, "changed": False, "warnings": [], "jails": []}
ERROR = {"schema": 1, "error": {"status": 2, "kind": "spec", "findings": [
    {"what": "bad", "why": "it is", "hints": ["do this"], "location": None}]}}


class Host(object):
    """A directory with the recording program."""

    def __init__(self, directory):
        self.directory = directory
        self.jails_dir = os.path.join(directory, "jails.d")
        self.program = os.path.join(directory, "jailctl")
        with open(self.program, "w") as file:
            file.write(PROGRAM)
        os.chmod(self.program, 0o755)
        self.answers = {"list": [0, json.dumps({"schema": 1, "jails": []})]}
        self.answer("build", CHANGED)
        self.answer("plan", CHANGED)

    def answer(self, verb, value, status=0):
        self.answers[verb] = [status, json.dumps(value)]

    def calls(self):
        path = os.path.join(self.directory, "calls")
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return [json.loads(line) for line in file]

    def arguments(self):
        return [call["arguments"] for call in self.calls()]

    def spec_file(self, name="arkham"):
        return os.path.join(self.jails_dir, name + ".toml")


@pytest.fixture
def host(tmp_path):
    return Host(str(tmp_path))


@pytest.fixture
def run(host, monkeypatch, capsys):
    def run(module=jail, check=False, diff=False, **parameters):
        with open(os.path.join(host.directory, "answers"), "w") as file:
            json.dump(host.answers, file)
        parameters.setdefault("executable", host.program)
        if module is jail:
            parameters.setdefault("jails_dir", host.jails_dir)
        parameters.update(
            _ansible_check_mode=check, _ansible_diff=diff, _ansible_remote_tmp=host.directory
        )
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": parameters}).encode("utf-8")
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", arguments)
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)
    return run


ARKHAM = {"name": "arkham", "user": [{"name": "harlequin", "password": HASH}]}


def test_specs_are_written_and_built_in_one_transaction(host, run):
    result = run(jails=[ARKHAM, {"name": "elba"}], reload=False)
    assert result["changed"]
    assert host.arguments() == [[
        "build", "--json", "--lock-timeout", "60", "--no-reload", "--",
        host.spec_file(), host.spec_file("elba")]]
    assert result["specs"] == [host.spec_file(), host.spec_file("elba")]
    assert stat.S_IMODE(os.stat(host.spec_file()).st_mode) == 0o600
    assert "changes" not in result["jails"][0]["steps"][0]
    assert "diff" not in result
    assert json.dumps(result["warnings"]).count("a notice") == 1


def test_check_mode_plans_copies_and_writes_no_spec(host, run):
    result = run(check=True, diff=True, spec=ARKHAM)
    assert result["changed"]
    assert [call[0] for call in host.arguments()] == ["list", "plan"]
    plan = host.calls()[1]
    assert plan["arguments"][1:4] == ["--json", "--from-here", "--"]
    assert HASH in plan["specs"]["arkham.toml"]
    assert not os.path.exists(host.jails_dir)
    assert not os.path.exists(plan["arguments"][4])
    assert result["diff"][0]["after"] == "root created\n"


def test_nothing_to_do_is_no_change(host, run):
    run(spec=ARKHAM)
    host.answer("build", NOTHING)
    host.answer("plan", NOTHING)
    assert not run(spec=ARKHAM)["changed"]
    assert not run(check=True, spec=ARKHAM)["changed"]


def test_a_failed_build_restores_the_spec_files(host, run):
    run(spec=ARKHAM)
    with open(host.spec_file()) as file:
        before = file.read()
    host.answer("build", ERROR, 2)
    result = run(jails=[dict(ARKHAM, root="/srv/other/x"), {"name": "elba"}])
    assert result["failed"]
    assert result["msg"] == "bad: it is; hint: do this"
    assert result["rc"] == 2
    with open(host.spec_file()) as file:
        assert file.read() == before
    assert os.listdir(host.jails_dir) == ["arkham.toml"]


def test_findings_in_check_mode_name_the_file_that_the_spec_would_be(host, run):
    error = json.loads(json.dumps(ERROR))
    error["error"]["findings"][0]["location"] = {"source": "SOURCE", "line": 3, "column": 1}
    host.answer("plan", error, 2)
    # Only the program knows the temporary name.
    with open(host.program) as file:
        program = file.read()
    with open(host.program, "w") as file:
        file.write(program.replace(
            "sys.stdout.write(text)", "sys.stdout.write(text.replace('SOURCE', sys.argv[-1]))"))
    result = run(check=True, spec=ARKHAM)
    assert host.spec_file() + ":3:1" in result["msg"]
    assert result["findings"][0]["location"]["source"] == host.spec_file()


def test_secrets_are_in_no_output(host, run):
    for parameters in (
        {"spec": ARKHAM},
        {"content": 'name = "arkham"\n[[user]]\nname = "bob"\npassword = "%s"\n' % HASH},
        {"spec": {"name": "arkham", "pasword": HASH}},
        {"spec": {"name": "arkham", "user": [{"name": "bob", "passwd": HASH}]}},
        {"spec": {"name": "arkham", "user": [{"name": "bob", "password": {"hash": HASH}}]}},
        {"jails": [{"name": "../x", "user": [{"name": "bob", "password": HASH}]}]},
    ):
        for check in (False, True):
            assert HASH not in json.dumps(run(check=check, diff=True, **parameters)), parameters


def test_unknown_keys_and_bad_types_are_named_before_the_command_runs(host, run):
    for spec, name in (
        ({"name": "arkham", "binary": ["ls"]}, "binary"),
        ({"name": "arkham", "user": [{"nam": "bob"}]}, "nam"),
        ({"name": "arkham", "limits": {"tasks": "many"}}, "tasks"),
        ({"name": "arkham", "sshd": {"allow": ["telnet"]}}, "allow"),
        ({"name": "arkham", "dir": [{"path": "/x", "mode": 420}]}, "dir.mode"),
        ({"name": "../../etc/passwd"}, "name"),
        ({"name": "arkham\n"}, "name"),
    ):
        result = run(check=True, spec=spec)
        assert result["failed"] and name in result["msg"], result
    assert host.calls() == []


def test_hostile_strings_are_one_argument_of_the_command(host, run):
    marker = os.path.join(host.directory, "marker")
    for name in ("$(touch %s)" % marker, "; touch %s" % marker, "--root=/", "-n"):
        assert run(state="absent", name=[name])["failed"]
        host.answer("stats", ERROR, 2)
        assert run(jail_session, name=name, state="frozen")["failed"]
        assert host.arguments()[-1] == ["stats", "--json", "--", name]
    assert not os.path.exists(marker)


def test_jails_and_spec_files_are_removed(host, run):
    run(spec=ARKHAM)
    listed = [{"name": name, "spec": host.spec_file()} for name in ("arkham", "acme.alice")]
    host.answer("list", {"schema": 1, "jails": listed})
    host.answer("remove", CHANGED)
    assert run(check=True, state="absent", name=["arkham"])["changed"]
    assert os.path.exists(host.spec_file())
    result = run(state="purged", kill=True, name=["arkham", "acme", "never"])
    assert result["specs"] == [host.spec_file()]
    assert not os.path.exists(host.spec_file())
    removals = [call for call in host.arguments() if call[0] == "remove"]
    assert removals[0] == ["remove", "--json", "--lock-timeout", "60", "--dry-run", "--", "arkham"]
    assert removals[1:] == [
        ["remove", "--json", "--lock-timeout", "60", "--purge", "--kill", "--", name]
        for name in ("arkham", "acme")]


def test_a_removal_that_fails_reports_those_before_it(host, run):
    listed = [{"name": "arkham", "spec": host.spec_file()}]
    host.answer("list", {"schema": 1, "jails": listed})
    host.answer("remove", ERROR, 4)
    result = run(state="absent", name=["never", "arkham"])
    assert result["failed"] and not result["changed"] and result["rc"] == 2


def test_specs_stay_if_only_the_output_was_lost(host, run):
    host.answers["build"] = [6, ""]
    host.answers["--version"] = [0, "jailctl 0.1.0\n"]
    assert run(spec=ARKHAM)["rc"] == 6
    assert os.path.exists(host.spec_file())


def test_files_that_cannot_be_written_are_an_error_and_no_traceback(host, run):
    with open(host.jails_dir, "w") as file:
        file.write("no directory")
    result = run(spec=ARKHAM)
    assert "could not write or read a spec file" in result["msg"]
    assert host.calls() == []
    assert "not UTF-8" in run(spec={"name": "a", "root": "\udcff"})["msg"]
    assert "UTF-8" in run(content='name = "a"\n# \udcff\n')["msg"]


def test_a_jail_that_is_gone_is_no_change(host, run):
    assert not run(state="absent", name=["arkham"])["changed"]


def test_files_on_the_host_are_built_by_name_or_all(host, run):
    run(jails=[ARKHAM, {"name": "elba"}])
    run(state="built")
    assert host.arguments()[-1][-2:] == [host.spec_file(), host.spec_file("elba")]
    run(state="built", name=["elba"], recreate=True, check=True)
    assert host.arguments()[-1] == [
        "build", "--json", "--recreate", "--lock-timeout", "60", "--dry-run", "--",
        host.spec_file("elba")]


def test_a_missing_command_is_a_change_in_check_mode_and_an_error_else(host, run):
    missing = os.path.join(host.directory, "missing")
    assert run(check=True, spec=ARKHAM, executable=missing)["changed"]
    result = run(spec=ARKHAM, executable=missing)
    assert "could not find" in result["msg"]
    assert not os.path.exists(host.spec_file())


def test_another_program_and_an_old_command_are_clear_errors(host, run):
    host.answers["build"] = [2, "error: unexpected argument"]
    host.answers["--version"] = [0, "jailctl 0.0.1\n"]
    result = run(spec=ARKHAM)
    assert "jailctl 0.0.1" in result["msg"] and "0.1.0 and later" in result["msg"]
    host.answers["--version"] = [0, "busybox\n"]
    assert "it is not jailctl" in run(spec=ARKHAM)["msg"]


def test_the_name_in_toml_is_that_of_the_file(host, run):
    run(content='templates = ["sftp"]\nname = \'arkham\'\n[[user]]\nname = "bob"\n')
    assert os.path.exists(host.spec_file())
    assert "name" in run(content='[[user]]\nname = "bob"\n')["msg"]


def test_another_file_of_the_jail_is_refused_in_check_mode_as_in_a_build(host, run):
    other = os.path.join(host.directory, "other.toml")
    with open(other, "w") as file:
        file.write("")
    host.answer("list", {"schema": 1, "jails": [{"name": "arkham", "spec": other}]})
    assert "was built from" in run(check=True, spec=ARKHAM)["msg"]
    assert run(check=True, spec=ARKHAM, from_here=True)["changed"]


def test_sessions_change_only_what_is_not_so_already(host, run):
    row = {"name": "arkham", "sessions": 2, "frozen": True}
    host.answer("stats", {"schema": 1, "jails": [row]})
    assert not run(jail_session, name="arkham", state="frozen")["changed"]
    assert run(jail_session, name="arkham", state="thawed", check=True)["changed"]
    assert run(jail_session, name="arkham", state="killed", check=True)["changed"]
    assert [call[0] for call in host.arguments()] == ["stats"] * 3


def test_info_joins_the_answers_of_the_verbs(host, run):
    jails = [{"name": "acme.alice"}, {"name": "arkham"}]
    host.answer("list", {"schema": 1, "jails": jails})
    host.answer("check", {"schema": 1, "jails": [{"name": "acme.alice", "clean": True}]}, 1)
    host.answers["--version"] = [0, "jailctl 0.1.0\n"]
    result = run(jail_info, name=["acme"], gather=["check"])
    assert result["version"] == "0.1.0" and not result["changed"]
    (acme,) = result["jails"]
    assert acme["family"] == "acme" and acme["check"]["clean"]
