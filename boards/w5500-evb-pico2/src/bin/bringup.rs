//! Starts the board.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use w5500_evb_pico2::Board;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let _board = Board::start(spawner).await;
    core::future::pending::<()>().await;
}
