//! A link between two volatile gateways for hours or days: what happens to it, and by when it must stand again.
//!
//! The bounds follow from the rules, in terms of one end that looks for the other:
//! - it sends from a new address at once if its system tells it, otherwise with its next ping; a new process sends at once;
//! - an end that has not moved itself asks when it has missed a ping, that is `ping` + 1 s after the last packet;
//! - it knows where the other one is as soon as the name is up to date (published, caches expired, resolver alive) and
//!   the next round of probes has come, that is after `probe-interval` more;
//! - an end without `float` must learn from the name where the packets of the other one come from, and looks it up when
//!   they come, every 5 s at the most;
//! - what both ends outlive without `ping-restart` must bring no restart. Otherwise each restart may take its time, and
//!   each remote that leads elsewhere a `ping-restart`.

use longcable_core::options::ReceiveTimeout;
use longcable_core::time::{Duration, Instant};

use crate::engine::held;
use crate::lines::Nat;
use crate::world::{Dice, World};

const INTERVAL: Duration = Duration::from_secs(5);
/// A pause, an answer that does not come, and the first round.
const RESTART: Duration = Duration::from_secs(15);
/// What a few round trips and lookups take.
const SLACK: Duration = Duration::from_millis(300);
/// Three control packets in a row may come while the other end is busy with another session, and be repeated after 2 s.
const HANDSHAKE: Duration = Duration::from_secs(6);
/// One end may have a session that the other one, who moved in the midst of the handshake, has not: so long it waits for
/// the rest, and begins another one with the next probe.
const PATIENCE: Duration = Duration::from_secs(8);
/// Buffers of TLS stacks grow and shrink by so many bytes: less than three for each move of a day.
const BUFFERS: i64 = 8192;
/// Traffic is tried for so long.
const TRAFFIC: Duration = Duration::from_secs(3);

/// What a seed has drawn for the whole course.
pub struct Habits {
    /// When the systems tell of a new address, if they do.
    pub notices: [Option<Duration>; 2],
    /// Two disturbances are never farther apart than this, in ms; 0 is a new address every 30 s.
    pub pace: u64,
    /// The network loses packets; it takes so much longer.
    pub allowance: Duration,
    /// Whether a restored connection is used at once.
    pub is_busy: bool,
}

/// What has happened since the ends last met.
#[derive(Clone)]
struct Episode {
    kind: &'static str,
    begin: Instant,
    last: Instant,
    restarts: [usize; 2],
    ends: [Upset; 2],
}

#[derive(Clone, Copy, Default)]
struct Upset {
    /// It has another address.
    moved: bool,
    /// It is, or will be, on line from then on.
    up: Option<Instant>,
    /// Its system tells it then.
    noticed: Option<Instant>,
    /// It is a new process, or it has restarted at the other one's farewell.
    renewed: bool,
    /// Its packets look old to the other end.
    looks_old: bool,
    /// It may restart.
    may_restart: bool,
}

/// How long a kind of disturbance took.
pub type Recovery = (&'static str, Duration);

pub struct Course<'c> {
    world: World<'c>,
    dice: Dice,
    habits: Habits,
    episode: Option<Episode>,
    recoveries: Vec<Recovery>,
    /// What TLS stacks had on the heap whenever the link stood, in bytes.
    held: Vec<i64>,
}

impl<'c> Course<'c> {
    pub fn new(world: World<'c>, dice: Dice, habits: Habits) -> Self {
        Self { world, dice, habits, episode: None, recoveries: Vec::new(), held: Vec::new() }
    }

    /// Runs for so long; gives all recoveries.
    pub fn run(mut self, length: Duration) -> Vec<Recovery> {
        let end = self.world.now() + length;
        let now = self.world.now();
        let start = self.begin("start");
        for upset in &mut start.ends {
            (upset.renewed, upset.up, upset.may_restart) = (true, Some(now), true);
        }
        while self.world.now() < end {
            let pause = match self.habits.pace {
                0 => 30_000,
                pace => 1_000 + self.dice.below(pace),
            };
            self.rest(Duration::from_millis(pause));
            self.disturb();
        }
        self.rest(Duration::from_secs(3600));
        assert!(self.episode.is_none(), "an hour is enough");
        self.world.check_deliveries();
        self.check_memory();
        self.recoveries
    }

    /// A gateway has all its memory from the beginning, which each of its calls proves. What TLS stacks take, they give back.
    fn check_memory(&self) {
        // Whoever negotiates has more for a while.
        let least = |held: &[i64]| held.iter().min().copied().unwrap_or(0);
        let quarter = self.held.len() / 4;
        let (morning, evening) = (least(&self.held[..quarter]), least(&self.held[self.held.len() - quarter..]));
        if self.habits.pace == 0 {
            assert!(evening <= morning + BUFFERS, "TLS holds {evening} bytes, {morning} in the morning");
        }
    }

    /// Nothing more happens for so long.
    fn rest(&mut self, pause: Duration) {
        let end = self.world.now() + pause;
        if let Some(episode) = &self.episode {
            let last = episode.last;
            let deadline = self.deadline(episode);
            let patience = deadline.min(end).since(self.world.now());
            self.world.say(format!("(to be up by {} ms)", deadline.as_millis()));
            // A new session alone sends no data.
            let is_used = self.habits.is_busy || (self.is_tls() && episode.ends.iter().any(|end| end.renewed));
            self.world.set_traffic(is_used.then_some(Duration::from_millis(500)));
            let is_up = self.world.run_until_after(patience, |world| world.have_met_since(last));
            self.world.set_traffic(None);
            if !is_up {
                assert!(end < deadline, "the link is not up in time");
                return;
            }
            self.recovered();
        }
        self.idle(end);
    }

    fn recovered(&mut self) {
        let Some(episode) = self.episode.take() else { return };
        self.recoveries.push((episode.kind, self.world.now().since(episode.last)));
        for i in [0, 1] {
            let restarts = self.world.restarts_of(i) - episode.restarts[i];
            let is_called_for =
                episode.ends[i].may_restart || episode.ends[1 - i].looks_old || self.outlasts(&episode, i);
            assert!(restarts == 0 || is_called_for, "a restart of node {i} that was not needed");
        }
    }

    /// The link stands and is not disturbed until then.
    fn idle(&mut self, end: Instant) {
        self.exchange(end);
        // Answers to the last lookups, and options.
        self.run_until(end.min(self.world.now() + Duration::from_secs(60)));
        let (begin, before) = (self.world.now(), [0, 1].map(|i| self.world.activity(i)));
        let restarts = self.world.restarts();
        self.run_until(end);
        assert_eq!(self.world.restarts(), restarts, "an undisturbed link restarts");
        let length = self.world.now().since(begin).as_secs();
        for i in [0, 1] {
            let (lookups, messages) = self.world.activity(i);
            let pings = length / u64::from(self.world.config(i).ping) + 1;
            if self.habits.allowance.is_zero() {
                assert_eq!(lookups, before[i].0, "node {i} looks up names without need");
                let sent = (messages - before[i].1) as u64;
                assert!(sent <= pings, "node {i} sends {sent} messages where {pings} pings are enough");
            }
        }
        self.exchange(end);
        self.held.push(held());
    }

    /// Packets pass both ways, now.
    fn exchange(&mut self, end: Instant) {
        let attempts = 1 + self.habits.allowance.as_secs();
        for _ in 0..attempts {
            if self.world.now() + TRAFFIC > end {
                return;
            }
            let before = self.world.received();
            self.world.set_traffic(Some(Duration::from_millis(100)));
            let passes = |world: &World<'_>| world.received().iter().zip(before).all(|(now, before)| *now > before);
            let passed = self.world.run_until_after(TRAFFIC, passes);
            self.world.set_traffic(None);
            if passed {
                return;
            }
        }
        panic!("the link is up, and nothing passes");
    }

    fn run_until(&mut self, end: Instant) {
        self.world.run_until_after(end.since(self.world.now()), |_| false);
    }

    /// Something happens now; what is not over yet goes on.
    fn begin(&mut self, kind: &'static str) -> &mut Episode {
        let now = self.world.now();
        let restarts = [0, 1].map(|i| self.world.restarts_of(i));
        let fresh = Episode { kind, begin: now, last: now, restarts, ends: [Upset::default(); 2] };
        let overlaps = self.episode.is_some();
        let episode = self.episode.get_or_insert(fresh);
        episode.last = now;
        for upset in &mut episode.ends {
            // Who has looked for the other one since then may have heard it before this.
            upset.noticed = upset.noticed.filter(|noticed| *noticed >= now);
        }
        if overlaps {
            episode.kind = "several";
        }
        episode
    }

    fn disturb(&mut self) {
        let i = self.dice.below(2) as usize;
        match self.dice.below(100) {
            _ if self.habits.pace == 0 => {
                self.readdress("flapping", i);
                if self.dice.percent(30) {
                    self.readdress("flapping", 1 - i);
                }
            }
            0..35 => self.readdress("one moves", i),
            35..60 => {
                self.readdress("both move", i);
                self.begin("both move").kind = "both move";
                self.readdress("both move", 1 - i);
                self.begin("both move").kind = "both move";
            }
            60..70 => self.break_line(i),
            70..80 => self.cut_power(i),
            80..88 => self.terminate(i),
            kind => self.break_names(i, kind < 94),
        }
    }

    fn readdress(&mut self, kind: &'static str, i: usize) {
        let now = self.world.now();
        let published = Duration::from_millis(500 + self.dice.below(30_000));
        let stale = self.dice.percent(20).then(|| Duration::from_secs(1 + self.dice.below(120)));
        let is_reused = self.dice.percent(30);
        self.world.readdress(i, published, stale, is_reused);
        let notice = self.habits.notices[i];
        if let Some(delay) = notice {
            self.world.notice(i, delay);
        }
        let is_simple = kind == "one moves" && self.episode.is_none() && self.habits.allowance.is_zero();
        let other = self.world.config(1 - i);
        let kind = match (self.world.nat(1 - i) == Nat::Open && other.connection.float, notice) {
            _ if !is_simple => kind,
            (true, Some(_)) => "one moves and is told, the other floats",
            (true, None) => "one moves and is not told, the other floats",
            (false, _) => "one moves, the other must look it up",
        };
        let upset = &mut self.begin(kind).ends[i];
        upset.moved = true;
        upset.noticed = notice.map(|delay| now + delay);
        upset.up = upset.up.max(Some(now));
    }

    fn break_line(&mut self, i: usize) {
        let now = self.world.now();
        let length = Duration::from_millis(200) + self.some_time([3_000, 30_000, 400_000]);
        self.world.break_line(i, length);
        let notice = self.habits.notices[i].map(|delay| length + delay);
        if let Some(delay) = notice {
            self.world.notice(i, delay);
        }
        let upset = &mut self.begin("line down").ends[i];
        upset.noticed = notice.map(|delay| now + delay);
        upset.up = upset.up.max(Some(now + length));
        self.world.say(format!("(node {i} is off line for {length:?})"));
        self.wait(length);
    }

    /// Shorter than one of these, in ms.
    fn some_time<const N: usize>(&mut self, limits: [u64; N]) -> Duration {
        let limit = *self.dice.pick(&limits);
        Duration::from_millis(self.dice.below(limit))
    }

    /// What is measured begins when it is over.
    fn wait(&mut self, length: Duration) {
        self.world.run_until_after(length, |_| false);
        let now = self.world.now();
        if let Some(episode) = &mut self.episode {
            episode.last = now;
        }
    }

    fn cut_power(&mut self, i: usize) {
        let now = self.world.now();
        let length = Duration::from_millis(2_000) + self.some_time([20_000, 300_000]);
        let (is_static, stores) = (self.world.config(i).tls.role.is_none(), self.stores(i));
        let loses_time = self.dice.percent(30) && (stores || !self.stores(1 - i));
        let behind = if loses_time { 1 + self.dice.below(90 * 86_400) } else { 0 };
        self.world.cut_power(i, length, behind);
        let upset = &mut self.begin("power loss").ends[i];
        (upset.renewed, upset.up, upset.may_restart) = (true, Some(now + length), true);
        (upset.noticed, upset.looks_old) = (None, is_static && behind > 0 && !stores);
        if self.dice.percent(40) {
            self.readdress("power loss", i);
            if let Some(upset) = self.episode.as_mut().map(|episode| &mut episode.ends[i]) {
                (upset.noticed, upset.up) = (None, Some(now + length));
            }
            self.begin("power loss").kind = "power loss";
        }
        self.wait(length);
    }

    fn stores(&self, i: usize) -> bool {
        self.world.config(i).replay_persist.is_some()
    }

    fn terminate(&mut self, i: usize) {
        if self.world.is_leaving(i) {
            return;
        }
        let now = self.world.now();
        // The process says farewell first.
        let length = Duration::from_millis(4_000) + self.some_time([20_000, 200_000]);
        self.world.terminate(i, length);
        let says_so = self.world.config(i).connection.explicit_exit_notify > 0;
        // Otherwise it may say so where the other one is no longer.
        let is_heard = self.episode.is_none();
        let episode = self.begin("exit");
        let upset = &mut episode.ends[i];
        (upset.renewed, upset.up, upset.may_restart, upset.noticed) = (true, Some(now + length), true, None);
        if says_so {
            let upset = &mut episode.ends[1 - i];
            (upset.renewed, upset.may_restart) = (upset.renewed || is_heard, true);
        }
        self.wait(length);
    }

    /// The resolver of an end fails; that alone is no harm.
    fn break_names(&mut self, i: usize, is_dead: bool) {
        let now = self.world.now();
        let until = now + self.some_time([20_000, 300_000]);
        self.world.say(format!("(the names of node {i} fail until {} ms)", until.as_millis()));
        match is_dead {
            true => self.world.names().die(i, until),
            false => self.world.names().deny(i, until),
        }
        if self.episode.is_none() && self.dice.percent(80) {
            let other = self.dice.below(2) as usize;
            self.readdress("names fail", other);
        }
    }

    fn is_tls(&self) -> bool {
        self.world.config(0).tls.role.is_some()
    }

    fn ping(&self, i: usize) -> Duration {
        Duration::from_secs(self.world.config(i).ping.into())
    }

    fn ping_restart(&self, i: usize) -> Duration {
        match self.world.config(i).receive_timeout {
            ReceiveTimeout::Restart(seconds) => Duration::from_secs(seconds.into()),
            _ => Duration::from_secs(86_400 * 1000),
        }
    }

    /// Whether the silence may be longer than an end bears.
    fn outlasts(&self, episode: &Episode, i: usize) -> bool {
        let silent_before = self.ping(1 - i);
        self.quiet_deadline(episode).since(episode.begin) + silent_before + Duration::from_secs(1)
            >= self.ping_restart(i)
    }

    /// When `x` knows where `y` is. With several remotes it may be at the wrong one, or leave the right one too early: a
    /// restart keeps the remote if it was connected, and goes on to the next one otherwise.
    fn finds(&self, episode: &Episode, x: usize, y: usize) -> Instant {
        self.world.fresh(x, y).max(episode.last) + self.detour(x)
    }

    fn detour(&self, x: usize) -> Duration {
        let is_choosy = self.world.config(x).remotes.len() > 1;
        if is_choosy { (self.ping_restart(x) + RESTART) * 4 } else { Duration::ZERO }
    }

    /// When an end can be reached; a new process opens no socket before it knows where the other end is.
    fn is_there(&self, episode: &Episode, x: usize) -> Instant {
        let Upset { up, renewed, .. } = episode.ends[x];
        let (up, alive) = (up.unwrap_or(episode.last), self.world.resolver_works_from(x));
        if renewed && alive.is_some_and(|alive| alive > up) { alive.unwrap_or(up) + RESTART } else { up }
    }

    /// When an end first sends to where it believes the other one to be.
    fn sends(&self, episode: &Episode, x: usize) -> Instant {
        let upset = &episode.ends[x];
        match (upset.noticed, upset.up) {
            (Some(noticed), _) => noticed,
            (None, Some(_)) if upset.renewed => self.is_there(episode, x),
            (None, Some(up)) => up + self.ping(x),
            (None, None) => episode.last + self.ping(x) + Duration::from_secs(1),
        }
    }

    /// When an end looks for the other one.
    fn asks(&self, episode: &Episode, x: usize) -> Instant {
        let upset = &episode.ends[x];
        match (upset.noticed, upset.up) {
            (Some(noticed), _) => noticed,
            (None, Some(_)) if upset.renewed => self.is_there(episode, x),
            (_, up) => up.unwrap_or(episode.last).max(episode.last) + self.ping(x) + Duration::from_secs(1),
        }
    }

    /// When what `x` sends is accepted by `y`, if that does not depend on what `y` does first.
    fn arrives(&self, episode: &Episode, x: usize, y: usize) -> Option<Instant> {
        let (from, to) = (&episode.ends[x], &episode.ends[y]);
        // It cannot offer a session, and the keys are gone.
        let is_mute = (from.renewed || to.renewed) && self.world.is_v2_server(x);
        if is_mute || self.world.nat(y) != Nat::Open {
            return None;
        }
        let up = self.is_there(episode, y);
        let knows = !to.moved && !from.renewed;
        let sends = self.sends(episode, x);
        // Nobody knows when within its interval an end pings: what it sends before the other one is there is lost.
        let earliest = if from.noticed.is_some() || from.renewed { sends } else { from.up.unwrap_or(sends) };
        let reached = match knows {
            true if up <= earliest && !to.renewed => sends,
            true => self.asks(episode, x).max(up) + INTERVAL,
            false => self.asks(episode, x).max(self.finds(episode, x, y)).max(up) + INTERVAL,
        };
        let accepts = self.world.config(y).connection.float || !(from.moved || to.renewed);
        Some(if accepts { reached } else { reached.max(self.finds(episode, y, x)) + INTERVAL * 3 })
    }

    /// When the link stands again if nobody restarts.
    fn quiet_deadline(&self, episode: &Episode) -> Instant {
        let both = [self.arrives(episode, 0, 1), self.arrives(episode, 1, 0)];
        let met = both.into_iter().flatten().min().unwrap_or_else(|| {
            let ready = |x: usize, y: usize| {
                let asks = self.asks(episode, x).max(self.finds(episode, x, y));
                asks.max(self.is_there(episode, y)) + INTERVAL * 3
            };
            ready(0, 1).max(ready(1, 0))
        });
        let is_cut_short = self.world.negotiates().is_some_and(|at| at + HANDSHAKE > episode.last);
        let handshake = match () {
            () if !self.is_tls() => Duration::ZERO,
            () if is_cut_short => PATIENCE + INTERVAL,
            () if episode.ends.iter().any(|end| end.renewed) => HANDSHAKE,
            () => Duration::ZERO,
        };
        met + SLACK + handshake + self.habits.allowance
    }

    fn deadline(&self, episode: &Episode) -> Instant {
        let mut deadline = self.quiet_deadline(episode);
        if [0, 1].iter().any(|i| self.outlasts(episode, *i)) && [0, 1].iter().any(|i| self.world.is_v2_server(*i)) {
            // Its keys are gone with the restart, so it must be found by its client.
            let mut without_keys = episode.clone();
            without_keys.ends.iter_mut().for_each(|end| end.renewed = true);
            deadline = self.quiet_deadline(&without_keys);
        }
        let mut restarts = false;
        for i in [0, 1] {
            let upset = &episode.ends[i];
            if self.outlasts(episode, i) {
                restarts = true;
                deadline = deadline + self.detour(i);
            }
            restarts |= upset.may_restart && upset.up.is_none();
            if episode.ends[1 - i].looks_old {
                restarts = true;
                deadline = deadline + self.ping_restart(i);
            }
        }
        if restarts { deadline + RESTART * 2 } else { deadline }
    }
}
