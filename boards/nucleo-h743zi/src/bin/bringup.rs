//! Starts the board.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use nucleo_h743zi::Board;

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let _board = Board::start();
    core::future::pending::<()>().await;
}
