//! A link with a key that both ends share.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use w5500_evb_pico2::Board;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    Board::start(spawner).await.run_link(spawner, longcable_examples::STATIC_LINK).await;
}
