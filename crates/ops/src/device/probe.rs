//! Opening a CubeCL device, and asking what it can do.
#![cfg_attr(
    not(feature = "gpu"),
    allow(dead_code, reason = "only a GPU is opened here, and the tests run in every build")
)]

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::{Backend, DTypeUsage, Dispatch};
use burn::tensor::{DType, Device, Tensor};

use super::{DeviceError, DeviceKind};
use crate::fault::first_lines;

/// Opens a device and computes one sum on it.
pub(super) fn open(kind: DeviceKind, make: impl FnOnce() -> Device) -> Result<Device, DeviceError> {
    let attempt = move || {
        let device = make();
        let sum: f32 = Tensor::<1>::ones([4], &device).sum().into_scalar();
        (device, sum)
    };
    match without_panics(attempt) {
        Ok((device, 4.0)) => Ok(device),
        Ok((_, sum)) => Err(DeviceError::Unavailable {
            device: kind.to_string(),
            reason: format!("1 + 1 + 1 + 1 came to {sum}"),
        }),
        Err(reason) => Err(DeviceError::Unavailable { device: kind.to_string(), reason }),
    }
}

/// Runs `attempt` and gives the first panic's message where it panics, on this thread or on one that
/// it waits for.
fn without_panics<T>(attempt: impl FnOnce() -> T) -> Result<T, String> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&said);
    let hook = take_hook();
    set_hook(Box::new(move |info| {
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(message(info));
    }));
    let result = catch_unwind(AssertUnwindSafe(attempt));
    set_hook(hook);
    result.map_err(|_| {
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.first().cloned().unwrap_or_else(|| "it says nothing".into())
    })
}

/// A panic's first lines that say something, joined.
fn message(info: &PanicHookInfo<'_>) -> String {
    first_lines(info.payload_as_str().unwrap_or(""))
}

/// Whether the device multiplies bf16 in hardware: its matrix units take it.
pub(super) fn has_bf16(device: &Device) -> bool {
    let usage = Dispatch::dtype_usage(device.as_dispatch(), DType::BF16);
    let needed = DTypeUsage::Storage | DTypeUsage::Arithmetic | DTypeUsage::Accelerated;
    usage.is_superset(needed)
}

#[cfg(feature = "gpu")]
pub(super) fn describe(device: &Device) -> Option<String> {
    let identity = device.identity()?;
    let bf16 = if has_bf16(device) { "bf16 units" } else { "no bf16 units" };
    Some(format!("{}, kernels for {}, {bf16}", identity.name, identity.fingerprint))
}

#[cfg(not(feature = "gpu"))]
pub(super) fn describe(_device: &Device) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::tests::panics_alone;

    #[test]
    fn a_driver_that_panics_is_an_error_that_says_why() {
        let _alone = panics_alone();
        let panics = || -> Device { panic!("\n  no driver here\n  at all\n") };
        let error = open(DeviceKind::Cuda(1), panics).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the device `cuda:1` cannot be opened: no driver here at all"
        );
        let on_a_thread = || -> Device {
            std::thread::spawn(|| panic!("no library")).join().unwrap();
            unreachable!()
        };
        let error = open(DeviceKind::Wgpu, on_a_thread).unwrap_err();
        assert!(error.to_string().ends_with("no library"), "{error}");
    }
}
