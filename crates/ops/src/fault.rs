//! What a device says when it fails, and reading from it.
//!
//! A device computes behind the program's back: memory that could not be had shows when something
//! that needed it is read. CubeCL's errors arrive as text, as an error or as a panic; both become a
//! [`DeviceFault`] here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::tensor::Tensor;

/// What a device did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFault {
    /// Memory that could not be had.
    #[error("the device has no memory left{}", .bytes.map_or_else(String::new, asked))]
    OutOfMemory {
        /// The size that was asked for, where it is said.
        bytes: Option<u64>,
    },
    /// Anything else.
    #[error("the device failed: {reason}")]
    Failed {
        /// What the driver's side said.
        reason: String,
    },
}

fn asked(bytes: u64) -> String {
    format!(": {bytes} bytes more were asked for")
}

/// What CubeCL 0.11 says where memory is short, each followed by a size or by none. Sources: `IoError`
/// and `LaunchError` of cubecl-runtime; wgpu's own words.
const OUT_OF_MEMORY: [&str; 6] = [
    "out of device memory allocating ",
    "can't allocate buffer of size: ",
    "Can't allocate ",
    "deferred allocation of ",
    "out-of-memory error",
    "Out of Memory",
];

impl DeviceFault {
    /// The fault that `text` tells of.
    pub fn of_text(text: &str) -> Self {
        let found = OUT_OF_MEMORY.iter().find_map(|words| Some((words, text.find(words)?)));
        match found {
            Some((words, at)) => {
                let rest = &text[at + words.len()..];
                let digits =
                    rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                Self::OutOfMemory { bytes: rest[..digits].parse().ok() }
            }
            None => Self::Failed { reason: first_lines(text) },
        }
    }
}

/// The first lines that say something, joined: what follows them is a backtrace.
pub(crate) fn first_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(3).collect::<Vec<_>>().join(" ")
}

/// A flat f32 tensor's elements, once the device has them.
///
/// # Errors
/// When something they depend on was not computed.
///
/// # Panics
/// When the tensor is not f32.
pub(crate) fn read(tensor: Tensor<1>) -> Result<Vec<f32>, DeviceFault> {
    let data = tensor.try_into_data().map_err(|error| DeviceFault::of_text(&error.to_string()))?;
    #[expect(clippy::expect_used, reason = "every caller holds f32")]
    Ok(data.try_into_vec::<f32>().expect("an f32 tensor"))
}

/// Runs `attempt`; a panic that tells of memory is an error, any other goes on.
///
/// # Errors
/// [`DeviceFault::OutOfMemory`].
pub fn out_of_memory_is_an_error<T>(attempt: impl FnOnce() -> T) -> Result<T, DeviceFault> {
    catch_unwind(AssertUnwindSafe(attempt)).or_else(|payload| match of_panic(payload.as_ref()) {
        Some(fault @ DeviceFault::OutOfMemory { .. }) => Err(fault),
        _ => resume_unwind(payload),
    })
}

fn of_panic(payload: &(dyn Any + Send)) -> Option<DeviceFault> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).map(DeviceFault::of_text)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// Tests that panic on purpose go one by one: the process has one panic hook.
    static PANICS: Mutex<()> = Mutex::new(());

    pub(crate) fn panics_alone() -> MutexGuard<'static, ()> {
        PANICS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn memory_is_told_from_other_faults() {
        let bytes = |text: &str| match DeviceFault::of_text(text) {
            DeviceFault::OutOfMemory { bytes } => bytes,
            other => panic!("{other}"),
        };
        let caused = "An error happened during execution\nCaused by:\n  ";
        let said = format!("{caused}out of device memory allocating 1073741824 bytes\n  0: main");
        assert_eq!(bytes(&said), Some(1 << 30));
        assert_eq!(bytes("can't allocate buffer of size: 4096\nat main"), Some(4_096));
        assert_eq!(bytes("An out-of-memory error happened during launch"), None);
        let other = DeviceFault::of_text("\n  an illegal address\n\n  at 0x10\n");
        assert_eq!(other, DeviceFault::Failed { reason: "an illegal address at 0x10".into() });
        let fault = DeviceFault::OutOfMemory { bytes: Some(7) };
        let said = "the device has no memory left: 7 bytes more were asked for";
        assert_eq!(fault.to_string(), said);
    }

    #[test]
    fn a_panic_of_memory_is_an_error_and_any_other_goes_on() {
        let _alone = panics_alone();
        let short = || -> u8 { panic!("Error while reading data: {}", "out-of-memory error") };
        let fault = DeviceFault::OutOfMemory { bytes: None };
        assert_eq!(out_of_memory_is_an_error(short), Err(fault));
        assert_eq!(out_of_memory_is_an_error(|| 3), Ok(3));
        let broken = || out_of_memory_is_an_error(|| -> u8 { panic!("index out of bounds") });
        assert!(catch_unwind(broken).is_err());
    }

    #[cfg(feature = "flex")]
    #[test]
    fn elements_are_read_in_order() {
        let tensor = Tensor::<1>::from_floats([1.0, -2.5], &burn::tensor::Device::flex());
        assert_eq!(read(tensor), Ok(vec![1.0, -2.5]));
    }
}
