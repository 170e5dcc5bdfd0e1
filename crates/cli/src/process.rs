//! What belongs to the process as a whole: the allocator, signals, panics, core dumps.
//!
//! Invariant: nothing here prints what a document holds. A panic shows where it happened, never what
//! it says; a core dump is not written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bimed_artifact::Cancel;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::output;

// Training frees and asks again for the same large blocks at every step. The system's allocator
// maps and unmaps them, and the kernel clears every page anew: a quarter of the time on a CPU.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of `mi_option_purge_delay` in mimalloc's `mi_option_t`, 2.x and 3.x alike.
const PURGE_DELAY_OPTION: i32 = 15;

/// Shows the payload of panics, for work on `bimed` itself.
const SHOW_PANIC_VARIABLE: &str = "BIMED_SHOW_PANIC";

/// Keeps freed pages instead of handing them back, unless `MIMALLOC_PURGE_DELAY` says otherwise.
pub(crate) fn keep_freed_pages() {
    // Negative: never. mimalloc's own default is one second (3.x) or ten milliseconds (2.x).
    #[expect(unsafe_code, reason = "mimalloc's options have no safe interface")]
    // SAFETY: the function writes one slot of a static table, and no other thread runs yet.
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY_OPTION, -1);
    }
}

/// A core dump would hold documents.
pub(crate) fn forbid_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        // Refused only where the limit is lower already.
        let _ = setrlimit(Resource::Core, none);
    }
}

/// Shows where a panic happened, without its payload, which may quote a document.
pub(crate) fn hide_panic_payloads() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or("an unknown place".to_owned(), ToString::to_string);
        let mut lines = format!("error: internal error at {place}\n");
        if std::env::var_os(SHOW_PANIC_VARIABLE).is_some() {
            let payload = panic.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            lines += &format!("  {}\n", text.unwrap_or("a payload that is not text"));
        } else {
            lines += &format!(
                "hint: this is a fault of `bimed`; `{SHOW_PANIC_VARIABLE}=1` shows its message, \
                 which may quote your text\n"
            );
        }
        output::error(&lines);
    }));
}

/// Today in UTC, `YYYY-MM-DD`.
pub(crate) fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    date(since.map_or(0, |since| since.as_secs() / 86_400))
}

/// The date that is so many days after the first of January 1970.
///
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: years begin
/// in March, so that the day that leap years add is a year's last.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// SIGINT and SIGTERM: the first asks the stage to stop at its next safe point, the second ends at
/// once.
#[derive(Debug)]
pub(crate) struct Signals {
    cancel: Cancel,
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let raised = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicUsize::new(0));
        for (signal, number) in [(SIGINT, SIGINT as usize), (SIGTERM, SIGTERM as usize)] {
            // In this order: the first signal finds the flag down and raises it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&raised))?;
            flag::register_usize(signal, Arc::clone(&received), number)?;
            flag::register(signal, Arc::clone(&raised))?;
        }
        Ok(Self { cancel: Cancel::from_flag(raised), received })
    }

    /// The flag that stages look at.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The signal that was received, if any.
    pub(crate) fn received(&self) -> Option<u8> {
        u8::try_from(self.received.load(Ordering::Relaxed)).ok().filter(|signal| *signal > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (20_453, "2025-12-31"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}
