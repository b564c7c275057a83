//! A link between two ends whose addresses change, which find each other by name.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use w5500_evb_pico2::Board;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    Board::start(spawner).await.run_link(spawner, longcable_examples::DYNAMIC_LINK).await;
}
