//! A router between the network that the board is in and the networks behind its peer.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use nucleo_h743zi::Board;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    Board::start().run_router(spawner, longcable_examples::SUBNET_ROUTER).await;
}
