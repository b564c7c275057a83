//! The status file of a client or point-to-point link (protocol section 5.6).

use crate::local_time::LocalTime;
use longcable_core::time::{Duration, Instant};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What went through the link since the program started, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets read from the tunnel device.
    pub tun_read: u64,
    /// Packets written to the tunnel device.
    pub tun_write: u64,
    /// Datagrams received from the network.
    pub link_read: u64,
    /// Datagrams sent to the network.
    pub link_write: u64,
    /// What was authentic among the received.
    pub auth_read: u64,
    /// Present if the link has compression framing.
    pub compression: Option<Compression>,
}

/// Bytes before and after compression and decompression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    /// Given to the compressor.
    pub pre_compress: u64,
    /// Made by the compressor.
    pub post_compress: u64,
    /// Given to the decompressor.
    pub pre_decompress: u64,
    /// Made by the decompressor.
    pub post_decompress: u64,
}

/// Counters at a moment, as text of several lines: the status file, and what SIGUSR2 prints line by line.
#[derive(Clone, Copy, Debug)]
pub struct Statistics<'c> {
    /// The moment.
    pub updated: LocalTime,
    /// The counters.
    pub counters: &'c Counters,
}

impl<'c> Statistics<'c> {
    /// The counters as they are now.
    pub fn now(counters: &'c Counters) -> Self {
        Self { updated: LocalTime::now(), counters }
    }

    /// Writes the statistics to the log.
    pub fn log(&self) {
        for text in self.to_string().lines() {
            crate::log::line(1, format_args!("{text}"));
        }
    }
}

impl fmt::Display for Statistics<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters { tun_read, tun_write, link_read, link_write, auth_read, compression } = self.counters;
        writeln!(f, "OpenVPN STATISTICS")?;
        writeln!(f, "Updated,{}", self.updated)?;
        writeln!(f, "TUN/TAP read bytes,{tun_read}")?;
        writeln!(f, "TUN/TAP write bytes,{tun_write}")?;
        writeln!(f, "TCP/UDP read bytes,{link_read}")?;
        writeln!(f, "TCP/UDP write bytes,{link_write}")?;
        writeln!(f, "Auth read bytes,{auth_read}")?;
        if let Some(Compression { pre_compress, post_compress, pre_decompress, post_decompress }) = compression {
            writeln!(f, "pre-compress bytes,{pre_compress}")?;
            writeln!(f, "post-compress bytes,{post_compress}")?;
            writeln!(f, "pre-decompress bytes,{pre_decompress}")?;
            writeln!(f, "post-decompress bytes,{post_decompress}")?;
        }
        writeln!(f, "END")
    }
}

/// `status FILE [n]`: written every n seconds and at the end.
#[derive(Debug)]
pub struct StatusFile {
    // Kept open and overwritten in place, not replaced: so it can still be written after the root directory or the
    // user has changed, and programs that hold it open see the news, as with openvpn.
    file: File,
    interval: Duration,
    due: Option<Instant>,
}

impl StatusFile {
    /// Opens the file; it is made with mode 0600 if it does not exist. It is due at once, then every `interval`
    /// (never by itself if that is zero).
    ///
    /// # Errors
    /// If the file cannot be opened for writing.
    pub fn open(path: &Path, interval: Duration, now: Instant) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Self { file, interval, due: (!interval.is_zero()).then_some(now) })
    }

    /// When [`tick`](Self::tick) has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Writes the file if it is time.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn tick(&mut self, now: Instant, counters: &Counters) -> io::Result<()> {
        if self.due.is_none_or(|due| now < due) {
            return Ok(());
        }
        self.due = Some(now + self.interval);
        self.write(counters)
    }

    /// Writes the file now.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, counters: &Counters) -> io::Result<()> {
        let text = Statistics::now(counters).to_string();
        // The text first, in one call, then the cut: whoever reads meanwhile finds no empty file.
        self.file.write_all_at(text.as_bytes(), 0)?;
        match self.file.set_len(text.len() as u64) {
            // A pipe or a device has no length.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TempDir, in_child};
    use std::os::unix::fs::MetadataExt;

    const COUNTERS: Counters = Counters {
        tun_read: 312,
        tun_write: 264,
        link_read: 2495,
        link_write: 2489,
        auth_read: 264,
        compression: None,
    };

    #[test]
    fn the_text_is_openvpns() {
        if in_child("status::tests::the_text_is_openvpns", &[("TZ", "UTC")]).is_some() {
            return;
        }
        let updated = LocalTime { unix: 1_795_357_683, micros: 0 };
        let plain = "OpenVPN STATISTICS\nUpdated,2026-11-22 14:28:03\nTUN/TAP read bytes,312\n\
                     TUN/TAP write bytes,264\nTCP/UDP read bytes,2495\nTCP/UDP write bytes,2489\n\
                     Auth read bytes,264\nEND\n";
        assert_eq!(Statistics { updated, counters: &COUNTERS }.to_string(), plain);
        let compression =
            Some(Compression { pre_compress: 1, post_compress: 2, pre_decompress: 3, post_decompress: 4 });
        let text = Statistics { updated, counters: &Counters { compression, ..COUNTERS } }.to_string();
        let more =
            "pre-compress bytes,1\npost-compress bytes,2\npre-decompress bytes,3\npost-decompress bytes,4\nEND\n";
        assert_eq!(text, plain.replace("END\n", more));
    }

    #[test]
    fn the_file_is_rewritten_in_place_when_due() {
        let dir = TempDir::new();
        let path = dir.path().join("status");
        let at = Instant::from_millis;
        let mut status = StatusFile::open(&path, Duration::from_secs(60), at(5)).unwrap();
        let metadata = || std::fs::metadata(&path).unwrap();
        let inode = metadata().ino();
        assert_eq!(metadata().mode() & 0o777, 0o600);
        assert_eq!(status.due(), Some(at(5)));
        status.tick(at(5), &COUNTERS).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("\nTUN/TAP read bytes,312\n"));
        assert_eq!(status.due(), Some(at(60_005)));
        status.tick(at(60_004), &Counters::default()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("\nTUN/TAP read bytes,312\n"));
        status.tick(at(60_005), &Counters::default()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nTUN/TAP read bytes,0\n") && text.ends_with("\nEND\n"), "{text}");
        assert_eq!(metadata().ino(), inode);
        let never = StatusFile::open(&path, Duration::ZERO, at(0)).unwrap();
        assert_eq!(never.due(), None);
    }
}
