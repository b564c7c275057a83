//! What belongs to one remote, outside of `<connection>` blocks and in them.

use core::mem::take;

use super::*;
use crate::options::error::on_a_host;
use crate::options::lexer::{CONNECTION, CONNECTION_END};

impl<'a> Connection<'a> {
    /// Takes an option that may differ from one remote to the next.
    pub(super) fn apply(&mut self, d: &Args<'_, 'a>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            "proto" => self.family = family(d, 0)?,
            "port" => {
                self.local_port = d.parsed(0, PORT, port)?;
                self.remote_port = self.local_port;
            }
            "lport" => {
                self.local_port = d.number(0, "a port number from 0 to 65535")?;
                self.own_local_port = true;
            }
            "rport" => self.remote_port = d.parsed(0, PORT, port)?,
            "local" => self.local = Some(d.required(0)?),
            "bind" => {
                self.bind = true;
                self.ipv6_only = d.choice_if_any(0, &[("ipv6only", true)], "ipv6only")?.is_some();
            }
            "nobind" => self.bind = false,
            "float" => self.float = true,
            "connect-retry" => {
                let pause = d.number::<u32>(0, SECONDS)?.max(1);
                self.connect_retry = (pause, d.number_if_any(1, SECONDS)?.unwrap_or(300).max(pause));
                self.own_connect_retry = true;
            }
            "connect-timeout" | "server-poll-timeout" => self.connect_timeout = d.number(0, SECONDS)?,
            "explicit-exit-notify" => {
                self.explicit_exit_notify = d.number_if_any(0, "a number from 0 to 255")?.unwrap_or(1);
            }
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    /// Whether the settings go together; `has_remote` if there is somebody to call.
    pub(in crate::options::link) fn validate(&self, has_remote: bool) -> Result<(), (&'static str, &'static str)> {
        match (self.local, self.own_local_port, has_remote) {
            _ if self.bind => Ok(()),
            (Some(_), ..) => Err(("nobind", "it does not go with 'local'; leave one of them out")),
            (_, true, _) => Err(("nobind", "it does not go with 'lport'; leave one of them out")),
            (.., false) => Err(("nobind", "nobody could find this end: add 'remote', or leave it out")),
            _ => Ok(()),
        }
    }
}

impl<'a> LinkConfig<'a> {
    /// Whether the option would have counted for `<connection>` blocks that have been read already.
    pub fn is_too_late(&self, directive: &Directive<'a>) -> bool {
        let concerns_blocks = || {
            directive.name == "remote"
                || directive
                    .read(|args| self.connection.clone().apply(args))
                    .is_ok_and(|applied| applied == Applied::Taken)
        };
        !self.blocks.is_empty() && self.open.is_none() && concerns_blocks()
    }

    /// Takes the tags of a `<connection>` block and every option between them.
    pub(super) fn apply_block(&mut self, d: &Args<'_, 'a>) -> Done {
        let error = |problem| Err(d.refuse(0, problem));
        let Some(mut block) = self.open.take() else {
            if d.name != CONNECTION {
                return Ok(Applied::NotMine);
            }
            if d.inline.is_none() {
                let why = "it is a block: write '<connection>' and '</connection>' around a 'remote' and its options";
                return error(Problem::Conflict { why: on_a_host(why) });
            }
            self.open = Some(Block { connection: self.connection, called: false, remote: None, tcp: false });
            return Ok(Applied::Taken);
        };
        let udp_only = self.udp_only;
        match d.name.as_str().unwrap_or_default() {
            CONNECTION_END => {
                self.close(block, d)?;
                return Ok(Applied::Taken);
            }
            "remote" if take(&mut block.called) => {
                let why = "a <connection> block has one only; write a block for each";
                return error(Problem::Conflict { why: on_a_host(why) });
            }
            "remote" => {
                block.called = true;
                block.tcp |= udp_only && is_tcp(d, 2);
                block.remote = if block.tcp { None } else { Some(remote(d)?) };
            }
            "proto" if udp_only && is_tcp(d, 0) => block.tcp = true,
            // Checked, and then without meaning, as in openvpn.
            "connect-retry-max" => drop(d.number::<u32>(0, "a number of attempts")?),
            name => {
                if block.connection.apply(d)? == Applied::NotMine {
                    let why = "all connections have it in common here; write it outside of the <connection> block";
                    return error(Problem::Conflict { why: on_a_host(why) });
                }
                // Of the two ways to say it, the later one counts.
                if let Some(remote) = &mut block.remote {
                    match name {
                        "port" | "rport" => remote.port = None,
                        "proto" => remote.family = None,
                        _ => {}
                    }
                }
            }
        }
        self.open = Some(block);
        Ok(Applied::Taken)
    }

    fn close(&mut self, block: Block<'a>, d: &Args<'_, 'a>) -> Result<(), Refused> {
        if !block.called {
            let remedy = "each <connection> block must contain exactly one 'remote': this one has none";
            return Err(d.refuse(0, Problem::Missing { remedy: on_a_host(remedy) }));
        }
        let Some(remote) = block.remote.filter(|_| !block.tcp) else {
            self.passed_over = true;
            return Ok(());
        };
        let conflict = |(option, why)| d.refuse_for(ConfigError::of(option, Problem::Conflict { why: on_a_host(why) }));
        block.connection.validate(true).map_err(conflict)?;
        if self.blocks.is_empty() {
            self.remotes.clear();
        }
        let index = u8::try_from(self.blocks.len()).ok();
        let full = ConfigError::of(CONNECTION, Problem::TooMany { limit: BLOCKS_MAX });
        self.blocks.push(block.connection).map_err(|_| d.refuse_for(full))?;
        push(&mut self.remotes, Remote { block: index, ..remote }, d)
    }
}
