//! The real sshd, on 127.0.0.1 port 22 of the copy's own network.

use crate::DisposableHost;

/// Where sshd writes its log inside.
const LOG: &str = "/run/sshd.log";

/// An `sshd_config` as careless as they come: Debian's, with every kind of forwarding and each
/// user's own settings allowed.
pub const CARELESS: &str = "\
Include /etc/ssh/sshd_config.d/*.conf
KbdInteractiveAuthentication no
UsePAM yes
PrintMotd no
AcceptEnv *
AllowAgentForwarding yes
AllowStreamLocalForwarding yes
AllowTcpForwarding yes
GatewayPorts yes
PermitTunnel yes
PermitUserEnvironment yes
PermitUserRC yes
X11Forwarding yes
Subsystem sftp /usr/lib/openssh/sftp-server
";

/// A running sshd.
#[derive(Debug)]
pub struct Sshd<'host> {
    host: &'host DisposableHost,
}

impl DisposableHost {
    /// Starts sshd with the configuration that the machine has, and waits until it listens.
    #[track_caller]
    pub fn sshd(&self) -> Sshd<'_> {
        let sshd = Sshd { host: self };
        sshd.start();
        sshd
    }

    /// Starts sshd with `text` as its main configuration file.
    #[track_caller]
    pub fn sshd_with(&self, text: &str) -> Sshd<'_> {
        self.write("/etc/ssh/sshd_config", text);
        self.sshd()
    }
}

impl Sshd<'_> {
    /// What it has logged.
    pub fn log(&self) -> String {
        self.host.read(LOG)
    }

    /// The listener's pid inside.
    pub fn pid(&self) -> String {
        self.host.read("/run/sshd.pid").trim().to_owned()
    }

    /// Ends the listener; sessions go on.
    #[track_caller]
    pub fn stop(&self) {
        self.host
            .sh("pid=$(</run/sshd.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.01; done")
            .ok();
    }

    /// Ends the listener and starts a new one.
    #[track_caller]
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    #[track_caller]
    fn start(&self) {
        // Tests fail logins on purpose and often; from 9.8 sshd would shut them out, and before
        // that it does not know the word.
        let script = r#"
            [ -x /usr/sbin/sshd ] || { echo "no sshd (package openssh-server)" >&2; exit 1; }
            mkdir -p /run/sshd
            rm -f /run/sshd.pid
            key=/etc/ssh/ssh_host_ed25519_key
            [ -e $key ] || ssh-keygen -q -t ed25519 -N '' -f $key
            penalties=-oPerSourcePenalties=no
            /usr/sbin/sshd -t $penalties 2>/dev/null || penalties=
            /usr/sbin/sshd -E "$1" $penalties
            # Written when it listens.
            until [ -s /run/sshd.pid ]; do sleep 0.01; done
        "#;
        self.host.run(["bash", "-euc", script, "sshd", LOG]).ok();
    }
}
