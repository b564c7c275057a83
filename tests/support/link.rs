//! Two programs that are each other's peers.

use std::net::IpAddr;

use longcable_core::tls::Role;

use super::{Daemon, Filling, Lab, Pinger, Program, Site, pki, tcp_check};

/// A link between the two sites of a laboratory.
pub struct Link<'a> {
    lab: &'a Lab,
    /// The program at the left site.
    pub left: Daemon,
    /// The program at the right site.
    pub right: Daemon,
}

impl<'a> Link<'a> {
    /// Starts both programs with the [usual config](end) and these lines more.
    pub fn start(lab: &'a Lab, programs: [Program; 2], more: [&str; 2]) -> Self {
        let configs = [end(&lab.left, &lab.right, more[0]), end(&lab.right, &lab.left, more[1])];
        Self::with_configs(lab, programs, [&configs[0], &configs[1]])
    }

    /// Starts both programs with the [usual TLS config](tls_end) and these lines more; the left one has this role.
    pub fn start_tls(lab: &'a Lab, programs: [Program; 2], left: Role, more: [&str; 2]) -> Self {
        pki::write(lab);
        let right = left.other();
        let configs = [tls_end(&lab.left, &lab.right, left, more[0]), tls_end(&lab.right, &lab.left, right, more[1])];
        Self::with_configs(lab, programs, [&configs[0], &configs[1]])
    }

    /// As [`start_tls`](Self::start_tls), and then a packet has made its way there and back.
    ///
    /// # Panics
    /// When none does.
    pub fn tls(lab: &'a Lab, programs: [Program; 2], left: Role, more: [&str; 2]) -> Self {
        let link = Self::start_tls(lab, programs, left, more);
        link.wait_for_traffic();
        link
    }

    /// Starts both programs with these configs.
    pub fn with_configs(lab: &'a Lab, programs: [Program; 2], configs: [&str; 2]) -> Self {
        Self {
            lab,
            left: Daemon::start(lab, &lab.left, programs[0], configs[0]),
            right: Daemon::start(lab, &lab.right, programs[1], configs[1]),
        }
    }

    /// Two programs that run already.
    pub fn with(lab: &'a Lab, left: Daemon, right: Daemon) -> Self {
        Self { lab, left, right }
    }

    /// A link that is up: a packet has made its way there and back.
    ///
    /// # Panics
    /// When none does.
    pub fn up(lab: &'a Lab, programs: [Program; 2], more: [&str; 2]) -> Self {
        let link = Self::start(lab, programs, more);
        link.wait_for_traffic();
        link
    }

    /// Pings until there is an answer.
    ///
    /// # Panics
    /// When there is none.
    pub fn wait_for_traffic(&self) {
        self.pinger().wait_for_answer();
    }

    /// Pings from left to right through the tunnel.
    pub fn pinger(&self) -> Pinger {
        Pinger::new(&self.lab.left, self.lab.right.inside)
    }

    /// Pings from right to left through the tunnel.
    pub fn pinger_back(&self) -> Pinger {
        Pinger::new(&self.lab.right, self.lab.left.inside)
    }

    /// A few sizes both ways, with checked content.
    ///
    /// # Panics
    /// When one is lost or damaged.
    pub fn check_pings(&self) {
        for mut pinger in [self.pinger(), self.pinger_back()] {
            for size in [0, 1, 56, 500, 1400, 1472] {
                pinger.must_answer(size, Filling::Random);
            }
        }
    }

    /// So many bytes by TCP, both ways at the same time, with checked content.
    ///
    /// # Panics
    /// When something is lost, damaged or late.
    pub fn check_tcp(&self, bytes: usize) {
        tcp_check(&self.lab.left, &self.lab.right, IpAddr::V4(self.lab.right.inside), bytes);
    }

    /// Asks both to end.
    ///
    /// # Panics
    /// When one of them does not end well.
    pub fn stop(mut self) {
        for end in [&mut self.left, &mut self.right] {
            assert!(end.stop().success(), "exit status 0 after SIGTERM");
        }
    }
}

/// The usual config of one end with TLS, and these lines more: later ones win. Its files are those of [`pki`].
pub fn tls_end(here: &Site, there: &Site, role: Role, more: &str) -> String {
    let (tls, name) = match role {
        Role::Client => ("tls-client\nremote-cert-tls server", "client"),
        Role::Server => ("tls-server\ndh none\nremote-cert-tls client", "server"),
    };
    format!(
        "dev tun0\nremote {}\nifconfig {} {}\n{tls}\nca ca.crt\ncert {name}.crt\nkey {name}.key\nverb 4\n{more}\n",
        there.outside, here.inside, there.inside
    )
}

/// The usual config of one end, and these lines more: later ones win.
pub fn end(here: &Site, there: &Site, more: &str) -> String {
    format!(
        "dev tun0\nremote {}\nifconfig {} {}\nsecret static.key\ncipher AES-256-CBC\nverb 4\n{more}\n",
        there.outside, here.inside, there.inside
    )
}
