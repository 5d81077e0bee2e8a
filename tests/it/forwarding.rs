//! Forwarding: every kind is refused under an sshd that allows all of it. Each time a listener
//! would have answered, and an unjailed user reaches it by the same client.

use disposable::login::Both;
use disposable::sshd::CARELESS;
use disposable::{DisposableHost, Login, Probe, Running};

use crate::support::{Spec, arkham, effective, host};

/// Both users on a host with a careless sshd; harlequin's jail has what the server's side of
/// forwarding wants to find.
fn careless(host: &DisposableHost) -> Probe<'_> {
    host.sshd_with(CARELESS);
    let (_, jailed) = arkham(host, &["sh", "xauth"]);
    let plain = host.plain_user("bob");
    Probe { jailed, plain }
}

/// A listener that sends `answer` to each connection, on a port of 127.0.0.1 or on a socket at a
/// path.
fn answering(host: &DisposableHost, address: &str) -> Running {
    let script = r#"
        use IO::Socket::INET; use IO::Socket::UNIX;
        $| = 1; umask 0;
        my $at = shift;
        my $socket = $at =~ m{^/} ? IO::Socket::UNIX->new(Local => $at, Listen => 9)
            : IO::Socket::INET->new(LocalAddr => "127.0.0.1:$at", Listen => 9, ReuseAddr => 1);
        $socket or die "$at: $!";
        print "listening\n";
        while (my $client = $socket->accept) { print $client "answer\n"; close $client }
    "#;
    let mut running = host.spawn(["perl", "-e", script, address]);
    running.hear("listening");
    running
}

/// Whether something answers there; with `through`, at that port behind the SOCKS proxy at
/// `address`.
fn answers(host: &DisposableHost, address: &str, through: Option<u16>) -> bool {
    let script = r#"
        use IO::Socket::INET; use IO::Socket::UNIX;
        alarm 20;
        my ($at, $through) = @ARGV;
        my $socket = $at =~ m{^/} ? IO::Socket::UNIX->new(Peer => $at) : IO::Socket::INET->new("127.0.0.1:$at");
        $socket or exit 0;
        $socket->autoflush;
        if ($through) {
            print $socket pack "C3", 5, 1, 0;
            read $socket, my $method, 2;
            print $socket pack "C8n", 5, 1, 0, 1, 127, 0, 0, 1, $through;
            read $socket, my $reply, 10;
        }
        print readline $socket;
    "#;
    let through = through.map(|port| port.to_string()).unwrap_or_default();
    host.run(["perl", "-e", script, address, &through])
        .ok()
        .text()
        == "answer"
}

/// An ssh client with `options` that stays until dropped; when this returns, sshd has accepted or
/// refused all of them.
fn client<const N: usize>(login: &Login<'_>, options: [&str; N]) -> Running {
    let mut client = login.start(options, "echo up; read -r line");
    client.hear("up");
    client
}

const REFUSED: Both<bool> = Both {
    jailed: false,
    plain: true,
};

#[disposable::test]
fn local_ports_are_not_forwarded() {
    let host = host();
    let probe = careless(&host);
    let _listener = answering(&host, "9000");
    let through = probe.both(|login| {
        let _client = client(login, ["-L9001:127.0.0.1:9000"]);
        answers(&host, "9001", None)
    });
    assert_eq!(through, REFUSED);
    let through = probe.both(|login| {
        let output = login.ssh_with(["-W127.0.0.1:9000"], "");
        output.text() == "answer"
    });
    assert_eq!(through, REFUSED);
}

#[disposable::test]
fn remote_ports_are_not_forwarded() {
    let host = host();
    let probe = careless(&host);
    let _listener = answering(&host, "9000");
    let through = probe.both(|login| {
        let _client = client(login, ["-R9002:127.0.0.1:9000"]);
        answers(&host, "9002", None)
    });
    assert_eq!(through, REFUSED);
}

#[disposable::test]
fn there_is_no_proxy() {
    let host = host();
    let probe = careless(&host);
    let _listener = answering(&host, "9000");
    let through = probe.both(|login| {
        let _client = client(login, ["-D9003"]);
        answers(&host, "9003", Some(9000))
    });
    assert_eq!(through, REFUSED);
    let through = probe.both(|login| {
        let _client = client(login, ["-R9004"]);
        answers(&host, "9004", Some(9000))
    });
    assert_eq!(through, REFUSED, "the reverse proxy");
}

#[disposable::test]
fn local_sockets_are_not_forwarded() {
    let host = host();
    let probe = careless(&host);
    // Each at the same path of its own view, so that the jail's walls alone refuse nothing.
    let _listeners = [
        answering(&host, "/srv/jails/arkham/home/harlequin/answer"),
        answering(&host, "/home/bob/answer"),
    ];
    let through = probe.both(|login| {
        let forward = format!("-L/run/{0}:/home/{0}/answer", login.user);
        let _client = client(login, [forward.as_str()]);
        answers(&host, &format!("/run/{}", login.user), None)
    });
    assert_eq!(through, REFUSED);
}

#[disposable::test]
fn remote_sockets_are_not_forwarded() {
    let host = host();
    let probe = careless(&host);
    let _listener = answering(&host, "/run/answer");
    let through = probe.both(|login| {
        let forward = format!("-R/home/{}/remote:/run/answer", login.user);
        let _client = client(login, [forward.as_str()]);
        answers(&host, "/home/bob/remote", None) && login.user == "bob"
            || answers(&host, "/srv/jails/arkham/home/harlequin/remote", None)
    });
    assert_eq!(through, REFUSED);
}

#[disposable::test]
fn agents_are_not_forwarded() {
    let host = host();
    let probe = careless(&host);
    let agent = "/run/agent";
    host.sh(&format!("ssh-agent -a {agent} >/dev/null")).ok();
    let identity = format!("-oIdentityAgent={agent}");
    let options = ["-A", &identity];
    let socket = probe.both(|login| {
        let output = login.ssh_with(options, "echo \"socket:$SSH_AUTH_SOCK\"");
        output.ok().text() != "socket:"
    });
    assert_eq!(socket, REFUSED);
    // Status 1 is an agent without keys, 2 is no agent.
    probe.plain.ssh_with(options, "ssh-add -l").exits(1);
}

#[disposable::test]
fn cve_2016_3115_x11_is_not_forwarded() {
    let host = host();
    let probe = careless(&host);
    let _display = answering(&host, "6000");
    let display = probe.both(|login| {
        let line = login.line(["-Y"], "echo \"display:$DISPLAY\"; echo up; read -r line");
        let mut command = vec!["env", "DISPLAY=127.0.0.1:0"];
        command.extend(line.iter().map(String::as_str));
        let mut client = host.spawn(command);
        let told = client.hear("up").contains(&"display:".to_owned());
        // 6010, where sshd listens for programs of the session.
        let listens = host.sh("cat /proc/net/tcp | grep -q ':177A 00000000:0000 0A'");
        (!told, listens.success())
    });
    assert_eq!(display.jailed, (false, false));
    assert_eq!(display.plain, (true, true));
}

#[disposable::test]
#[expect(
    clippy::print_stderr,
    reason = "the one who runs the tests is to see that half is missing"
)]
fn cve_2026_73283_tunnels_are_not_opened() {
    let host = host();
    let probe = careless(&host);
    for user in ["harlequin", "bob"] {
        let expected = if user == "bob" { "yes" } else { "no" };
        let setting = format!("permittunnel {expected}");
        assert!(effective(&host, user).contains(&setting), "{user}");
    }
    // Devices that the users may attach to, and one in the jail to do it with: then only sshd's
    // word is left to refuse it.
    let devices = host.sh(r"
        ip tuntap add dev tun1 mode tun user harlequin
        ip tuntap add dev tun2 mode tun user bob
        ip link set tun1 up
        ip link set tun2 up
        mkdir /srv/jails/arkham/dev/net
        mknod -m 666 /srv/jails/arkham/dev/net/tun c 10 200
    ");
    if !devices.success() {
        eprintln!("the kernel gives no tunnel devices, so only the setting is shown: {devices:?}");
        return;
    }
    let attached = probe.both(|login| {
        let device = if login.user == "bob" { 2 } else { 1 };
        let _client = client(login, [&format!("-w9:{device}")]);
        let carrier = host.read(&format!("/sys/class/net/tun{device}/carrier"));
        carrier.trim() == "1"
    });
    assert_eq!(attached, REFUSED);
}

#[disposable::test]
fn cve_2025_32728_forwarding_is_written_out() {
    let host = host();
    careless(&host);
    let key = host.key("selina");
    Spec::dropbox(&key).build(&host).ok();
    for user in ["harlequin", "selina"] {
        let settings = effective(&host, user);
        for keyword in [
            "allowtcpforwarding",
            "allowstreamlocalforwarding",
            "allowagentforwarding",
            "x11forwarding",
            "permittunnel",
            "gatewayports",
            "permituserrc",
        ] {
            assert!(
                settings.contains(&format!("{keyword} no")),
                "{user}: {keyword} in {settings:#?}"
            );
        }
    }
    assert!(effective(&host, "bob").contains(&"allowtcpforwarding yes".to_owned()));
}

#[disposable::test]
fn cve_2008_1657_user_rc_is_off() {
    let host = host();
    let probe = careless(&host);
    let ran = probe.both(|login| {
        host.write("/root/rc", "echo >~/rc-ran\n");
        login.sftp("-mkdir .ssh\nput /root/rc .ssh/rc").ok();
        login.ssh("ls rc-ran").success()
    });
    assert_eq!(ran, REFUSED);
}
