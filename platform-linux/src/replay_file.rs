//! `replay-persist`: the newest packet id that was received, kept over restarts (protocol section 2.7).
//!
//! The file is openvpn's: unix time (8 bytes) and packet id (4 bytes) in the machine's byte order, 4 bytes unused. Behind
//! that, where openvpn does not look, is the time (8 bytes) of the sequence that was sent last: a machine without a clock
//! starts with the same time again and again, and its peer would take its packets for replays.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

const IMAGE_LEN: usize = 16;

/// The open file. It stays open, so that it can be written after privileges are dropped.
#[derive(Debug)]
pub struct ReplayFile {
    file: Flock<File>,
    saved: Option<(u32, u32)>,
    sent: Option<u32>,
}

impl ReplayFile {
    /// Opens or makes the file and locks it: two links must not share one.
    ///
    /// # Errors
    /// The file cannot be opened, or another process has it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            nix::errno::Errno::EWOULDBLOCK => io::Error::other("another process uses it"),
            errno => errno.into(),
        })?;
        let mut image = [0; IMAGE_LEN];
        let saved = match file.read_exact_at(&mut image, 0) {
            Ok(()) => parse(&image),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        let mut time = [0; 8];
        let sent = match file.read_exact_at(&mut time, IMAGE_LEN as u64) {
            Ok(()) => u32::try_from(u64::from_ne_bytes(time)).ok(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok(Self { file, saved, sent })
    }

    /// The time of the sequence that was sent last.
    pub fn sent(&self) -> Option<u32> {
        self.sent
    }

    /// Saves that time if it is news, which it is once a start; it is on the disk afterwards, whatever happens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn save_sent(&mut self, time: u32) -> io::Result<()> {
        if self.sent.is_none_or(|sent| sent < time) {
            self.file.write_all_at(&u64::from(time).to_ne_bytes(), IMAGE_LEN as u64)?;
            self.file.sync_data()?;
            self.sent = Some(time);
        }
        Ok(())
    }

    /// The packet id and the time of its sequence that were saved last.
    pub fn saved(&self) -> Option<(u32, u32)> {
        self.saved
    }

    /// Saves a state if it is news. The image is one small write, which a power cut does not tear.
    ///
    /// # Errors
    /// Those of the system.
    pub fn save(&mut self, id: u32, time: u32) -> io::Result<()> {
        if self.saved != Some((id, time)) {
            let mut image = [0; IMAGE_LEN];
            image[..8].copy_from_slice(&u64::from(time).to_ne_bytes());
            image[8..12].copy_from_slice(&id.to_ne_bytes());
            self.file.write_all_at(&image, 0)?;
            self.saved = Some((id, time));
        }
        Ok(())
    }
}

fn parse(image: &[u8; IMAGE_LEN]) -> Option<(u32, u32)> {
    let (time, rest) = image.split_first_chunk()?;
    let id = u32::from_ne_bytes(*rest.first_chunk()?);
    let time = u32::try_from(u64::from_ne_bytes(*time)).ok()?;
    (id > 0).then_some((id, time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn keeps_the_state_in_openvpns_layout_and_for_one_process_only() {
        let dir = TempDir::new();
        let path = dir.path().join("replay");
        let mut file = ReplayFile::open(&path).unwrap();
        assert_eq!(file.saved(), None);
        file.save(4, 0x6b02_fccc).unwrap();
        assert!(ReplayFile::open(&path).is_err(), "it is locked");
        drop(file);
        assert_eq!(ReplayFile::open(&path).unwrap().saved(), Some((4, 0x6b02_fccc)));
        let mut file = ReplayFile::open(&path).unwrap();
        assert_eq!(file.sent(), None);
        file.save_sent(0x6b03_0000).unwrap();
        file.save_sent(5).unwrap();
        drop(file);
        let file = ReplayFile::open(&path).unwrap();
        assert_eq!((file.saved(), file.sent()), (Some((4, 0x6b02_fccc)), Some(0x6b03_0000)));
        let image = std::fs::read(&path).unwrap();
        assert_eq!(image[..8], 0x6b02_fccc_u64.to_ne_bytes());
        assert_eq!(image[8..12], 4u32.to_ne_bytes());
    }

    #[test]
    fn a_torn_or_empty_file_is_no_state() {
        let dir = TempDir::new();
        let path = dir.path().join("replay");
        std::fs::write(&path, [1; 7]).unwrap();
        assert_eq!(ReplayFile::open(&path).unwrap().saved(), None);
    }
}
