//! A task with little to do: it notices when others take its turns, and ends the firmware when its time is over.

use embassy_executor::Spawner;
use embassy_time::{Duration, Instant, Timer};

use crate::settings::Settings;
use crate::{ethernet, exit, stack_size, stack_used};

const TURN: Duration = Duration::from_millis(10);

/// Starts the task.
pub fn start(spawner: Spawner, settings: &Settings) {
    spawner.spawn(watch(settings.lifetime, settings.starved).expect("it is started once"));
}

#[embassy_executor::task]
async fn watch(lifetime: Option<Duration>, starved: Duration) -> ! {
    let end = lifetime.map(|lifetime| Instant::now() + lifetime);
    let (mut turns, mut longest) = (0_u32, Duration::MIN);
    loop {
        let due = Instant::now() + TURN;
        Timer::at(due).await;
        let late = due.elapsed();
        turns += 1;
        longest = longest.max(late);
        if late > starved {
            defmt::warn!("watch: starved for {=u64} ms", late.as_millis());
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
    let lan9118::Counters { damaged, lost } = ethernet::counters();
    defmt::info!("watch: {=u32} turns, the latest {=u64} ms late", turns, longest.as_millis());
    defmt::info!("watch: frames damaged {=u32}, lost {=u32}", damaged, lost);
    defmt::info!("watch: stack {=usize} bytes at most, of {=usize}", stack_used(), stack_size());
    exit(0)
}
