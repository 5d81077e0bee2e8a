//! Way in `forward`: connections that sshd opens for a jailed user start in the jail's network, and
//! nowhere else.

use disposable::sshd::CARELESS;
use disposable::{DisposableHost, Login};

use super::network::{copy, neighbour, serve, serve_in};
use super::{LOG, harlequin};
use crate::support::Spec;

const PRIVATE: &str = "[network]\nmode = \"private\"\nallow_out = [\"tcp/443\"]\n";

/// The jail of the network tests with these ways in, under an sshd that allows everything, with a
/// listener of the host at port 9000 that bob reaches.
fn open(doors: &str) -> (DisposableHost, Spec) {
    let more = format!("[sshd]\nallow = {doors}\n{PRIVATE}");
    let (host, spec) = copy(&more);
    // One that serves sftp without a shell.
    let careless = CARELESS.replace("/usr/lib/openssh/sftp-server", "internal-sftp");
    host.sshd_with(&careless);
    let bob = host.plain_user("bob");
    let server = serve(&host, "wire serve tcp 9000");
    let said = through(&bob, "127.0.0.1:9000");
    assert_eq!(said, "9000 of gotham to 127.0.0.1", "the control");
    drop(server);
    (host, spec)
}

/// Output of the listener at an address to which sshd is to connect.
fn through(login: &Login<'_>, to: &str) -> String {
    let option = format!("-W{to}");
    login.ssh_with([option.as_str()], "").text().to_owned()
}

#[disposable::test]
fn what_is_forwarded_comes_out_in_the_jails_network() {
    let (host, _) = open(r#"["shell", "sftp", "forward"]"#);
    let harlequin = harlequin(&host);
    let _inside = serve_in(&harlequin, "wire serve tcp 8080");
    assert_eq!(
        through(&harlequin, "127.0.0.1:8080"),
        "8080 of arkham to 127.0.0.1"
    );
    let mut client = harlequin.start(["-L9001:127.0.0.1:8080"], "echo up; read -r line");
    client.hear("up");
    let ask = |port: u16| {
        let asked = host.run(["wire", "ask", "tcp", "127.0.0.1", &port.to_string()]);
        asked.text().to_owned()
    };
    assert_eq!(ask(9001), "8080 of arkham to 127.0.0.1");
    drop(client);

    // Neither the host's loopback nor its addresses, nor destinations that its rules do not allow.
    let _outside = serve(&host, "wire serve tcp 9000");
    assert_eq!(ask(9000), "9000 of gotham to 127.0.0.1", "the control");
    for to in ["127.0.0.1:9000", "192.0.2.1:9000", "gotham:9000"] {
        assert_eq!(through(&harlequin, to), "", "{to}");
    }
    for (port, said) in [(443, "443 of gotham to 192.0.2.1"), (25, "")] {
        let _server = serve(&host, &neighbour(&format!("wire serve tcp {port}")));
        assert_eq!(through(&harlequin, &format!("192.0.2.2:{port}")), said);
    }

    // No listener starts for a user.
    let mut client = harlequin.start(["-R9002:127.0.0.1:9000"], "echo up; read -r line");
    client.hear("up");
    assert_eq!(ask(9002), "refused");
    let inside = harlequin.ssh("wire ask tcp 127.0.0.1 9002");
    assert_eq!(inside.text(), "refused");
}

#[disposable::test]
fn without_a_session_nothing_is_forwarded() {
    let (host, _) = open(r#"["shell", "forward"]"#);
    let harlequin = harlequin(&host);
    let _outside = serve(&host, "wire serve tcp 9000");
    host.sh("sed -i '/jailctl: begin/,/jailctl: end/d' /etc/pam.d/sshd")
        .ok();
    assert_eq!(through(&harlequin, "127.0.0.1:9000"), "");
    host.jailctl(["build", "/root/arkham.toml"]).ok();
    host.sh("printf broken >/var/lib/jailctl/arkham/policy")
        .ok();
    assert_eq!(through(&harlequin, "127.0.0.1:9000"), "");
    assert!(host.read(LOG).contains("arkham"), "{}", host.read(LOG));
}

#[disposable::test]
fn where_it_is_the_only_door_there_is_no_other() {
    let (host, _) = open(r#"["forward"]"#);
    let harlequin = harlequin(&host);
    let _server = serve(&host, &neighbour("wire serve tcp 443"));
    let said = through(&harlequin, "192.0.2.2:443");
    assert_eq!(said, "443 of gotham to 192.0.2.1");
    for command in ["", "ls", "internal-sftp", "/jail/none"] {
        harlequin.ssh(command).fails();
    }
    harlequin.sftp("pwd\n").fails();
}
