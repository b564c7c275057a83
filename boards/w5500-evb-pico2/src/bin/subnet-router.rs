//! A router between the network that the board is in and the networks behind its peer.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use w5500_evb_pico2::Board;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    Board::start(spawner).await.run_router(spawner, longcable_examples::SUBNET_ROUTER).await;
}
