//! Dates as openvpn writes them, in the local time zone.

use crate::sys_process;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment for people: `2026-11-22 16:00:00` in the local time zone.
#[derive(Clone, Copy, Debug)]
pub struct LocalTime {
    /// Whole seconds since 1970-01-01 00:00 UTC.
    pub unix: i64,
    /// The microseconds that follow them.
    pub micros: u32,
}

impl LocalTime {
    /// The wall clock.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The form of the syslog protocol: `Nov 22 16:00:00`.
    pub(crate) fn syslog(self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let Some(t) = sys_process::local_time(self.unix) else { return "Jan  1 00:00:00".to_owned() };
        let month = usize::try_from(t.tm_mon).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan");
        format!("{month} {:2} {:02}:{:02}:{:02}", t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec)
    }
}

impl From<SystemTime> for LocalTime {
    fn from(time: SystemTime) -> Self {
        // A clock before 1970 is not worth a case of its own.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), micros: since.subsec_micros() }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(t) = sys_process::local_time(self.unix) else { return write!(f, "@{}", self.unix) };
        let year = i64::from(t.tm_year) + 1900;
        write!(f, "{year:04}-{:02}-{:02} {:02}:{:02}:{:02}", t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_child;

    #[test]
    fn time_is_told_in_the_local_time_zone() {
        // POSIX rules, so that no time zone database is needed. The sign is that of the way back to UTC.
        if in_child("local_time::tests::time_is_told_in_the_local_time_zone", &[("TZ", "TST-5:30")]).is_some() {
            return;
        }
        let time = LocalTime { unix: 1_795_357_648, micros: 0 };
        assert_eq!(time.to_string(), "2026-11-22 19:57:28");
        assert_eq!(time.syslog(), "Nov 22 19:57:28");
        assert_eq!(LocalTime { unix: 0, micros: 0 }.syslog(), "Jan  1 05:30:00");
    }
}
