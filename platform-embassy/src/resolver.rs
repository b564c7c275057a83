//! Names to addresses, beside the tunnel: nothing waits for an answer.

use core::cell::{Cell, RefCell};
use core::fmt::Write as _;
use core::net::SocketAddr;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
#[cfg(feature = "dns")]
use embassy_net::dns::DnsQueryType;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use heapless::{String, Vec};
use longcable_core::gateway::Lookup;
use longcable_core::options::Family;
use longcable_core::peer::ADDRESSES_MAX;

/// Longest name in bytes: of DNS, and a random label before it.
const NAME_MAX: usize = 255 + 13;

/// A name that is wanted.
#[derive(Clone)]
struct Question {
    number: u32,
    name: String<NAME_MAX>,
    port: u16,
    family: Family,
}

/// What is known about it.
pub(crate) struct Answer {
    pub(crate) number: u32,
    pub(crate) addresses: Vec<SocketAddr, ADDRESSES_MAX>,
}

/// One question at a time: one about another name takes the place of an earlier one; one about the same name has its
/// answer, however long that takes.
pub(crate) struct Resolver {
    question: RefCell<Question>,
    /// It waits for its answer.
    is_open: Cell<bool>,
    asked: Signal<NoopRawMutex, ()>,
    answer: Signal<NoopRawMutex, Answer>,
}

impl Resolver {
    pub(crate) const fn new() -> Self {
        let question = Question { number: 0, name: String::new(), port: 0, family: Family::Any };
        Self {
            question: RefCell::new(question),
            is_open: Cell::new(false),
            asked: Signal::new(),
            answer: Signal::new(),
        }
    }

    /// Asks for the addresses of a name.
    pub(crate) fn ask(&self, number: u32, lookup: &Lookup<'_>) {
        // Nobody else holds it for longer than a copy takes.
        let Ok(mut question) = self.question.try_borrow_mut() else { return };
        let mut name = String::new();
        if write!(name, "{lookup}").is_err() {
            self.asked.reset();
            self.is_open.set(false);
            return self.answer.signal(Answer { number, addresses: Vec::new() });
        }
        question.number = number;
        let is_same = question.name == name && (question.port, question.family) == (lookup.port, lookup.family);
        let was_open = self.is_open.replace(true);
        if !(is_same && was_open) {
            (question.name, question.port, question.family) = (name, lookup.port, lookup.family);
            self.asked.signal(());
        }
    }

    /// Waits until there is an answer.
    pub(crate) async fn answered(&self) {
        self.answer.signal(self.answer.wait().await);
    }

    /// The answer, once. Without addresses, the name does not resolve.
    pub(crate) fn take(&self) -> Option<Answer> {
        self.answer.try_take()
    }

    /// Looks names up for ever.
    pub(crate) async fn run(&self, stack: Stack<'_>) -> ! {
        loop {
            self.asked.wait().await;
            while let Either::First(()) = select(self.asked.wait(), self.look_up(stack)).await {}
        }
    }

    async fn look_up(&self, stack: Stack<'_>) {
        let Ok(question) = self.question.try_borrow().map(|question| question.clone()) else { return };
        let addresses = look_up(stack, &question).await;
        self.is_open.set(false);
        let Ok(number) = self.question.try_borrow().map(|question| question.number) else { return };
        self.answer.signal(Answer { number, addresses });
    }
}

/// Nobody asks for names: `new` has refused them.
#[cfg(not(feature = "dns"))]
async fn look_up(_: Stack<'_>, _: &Question) -> Vec<SocketAddr, ADDRESSES_MAX> {
    Vec::new()
}

#[cfg(feature = "dns")]
async fn look_up(stack: Stack<'_>, question: &Question) -> Vec<SocketAddr, ADDRESSES_MAX> {
    #[cfg(feature = "ipv6")]
    let kinds: &[DnsQueryType] = match question.family {
        Family::V6 => &[DnsQueryType::Aaaa],
        Family::Any if stack.config_v4().is_none() => &[DnsQueryType::Aaaa],
        Family::Any if stack.config_v6().is_some() => &[DnsQueryType::A, DnsQueryType::Aaaa],
        _ => &[DnsQueryType::A],
    };
    #[cfg(not(feature = "ipv6"))]
    let kinds = &[DnsQueryType::A];
    let mut addresses = Vec::new();
    for kind in kinds {
        // A name without addresses of one kind may have some of the other.
        let found = stack.dns_query(&question.name, *kind).await.unwrap_or_default();
        let room = addresses.capacity().saturating_sub(addresses.len());
        addresses.extend(found.iter().take(room).map(|ip| SocketAddr::new((*ip).into(), question.port)));
    }
    addresses
}
