//! A link between two ends whose addresses change, which find each other by name.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use nucleo_h743zi::Board;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    Board::start().run_link(spawner, longcable_examples::DYNAMIC_LINK).await;
}
