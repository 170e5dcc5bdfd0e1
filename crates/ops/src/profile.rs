//! Where a device's time goes, kernel by kernel.

use burn::tensor::Device;

/// What all launches of one kernel took.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelTime {
    /// The kernel, with the types that it was compiled for.
    pub kernel: String,
    /// Seconds of the device's time, all launches together.
    pub seconds: f64,
    /// Launches.
    pub launches: u64,
}

/// Runs `work`, waits for `device`, and gives each kernel's time, longest first; nothing for the
/// processor. Kernels run back to back as without it, the host is slower.
pub fn profile<T>(device: &Device, work: impl FnOnce() -> T) -> (T, Vec<KernelTime>) {
    #[cfg(feature = "gpu")]
    return observed::profile(device, work);
    #[cfg(not(feature = "gpu"))]
    {
        let _ = device;
        (work(), Vec::new())
    }
}

#[cfg(feature = "gpu")]
mod observed {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use cubecl::config::{TypeNameFormatLevel, type_name_format};
    use cubecl::future::block_on;
    use cubecl::logging::{
        Duration, LaunchObservation, LaunchObserver, ProfileDuration, TimingMethod, TimingRequest,
    };

    use super::{Device, KernelTime};

    /// A launch's measurement, read or not yet.
    enum Measured {
        Later(ProfileDuration),
        Now(Duration),
    }

    #[derive(Default)]
    struct Launches(Mutex<Vec<(&'static str, Measured)>>);

    impl Launches {
        fn push(&self, kernel: &'static str, measured: Measured) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((kernel, measured));
        }

        fn take(&self) -> Vec<(&'static str, Measured)> {
            std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl LaunchObserver for Launches {
        fn launched(&self, _kernel: &'static str) {}

        fn timing(&self) -> TimingRequest {
            TimingRequest::Deferred
        }

        fn profiled(&self, kernel: &'static str, profile: ProfileDuration) {
            self.push(kernel, Measured::Later(profile));
        }

        fn timed(&self, kernel: &'static str, duration: Duration, _method: TimingMethod) {
            self.push(kernel, Measured::Now(duration));
        }
    }

    pub(super) fn profile<T>(device: &Device, work: impl FnOnce() -> T) -> (T, Vec<KernelTime>) {
        let launches = Arc::new(Launches::default());
        let observation = LaunchObservation::new(Arc::clone(&launches) as Arc<dyn LaunchObserver>);
        let done = work();
        // A fault shows where its result is read.
        let _ = device.sync();
        drop(observation);
        let mut found: BTreeMap<String, (f64, u64)> = BTreeMap::new();
        for (kernel, measured) in launches.take() {
            let duration = match measured {
                Measured::Later(profile) => {
                    block_on(profile.resolve()).map(|ticks| ticks.duration())
                }
                Measured::Now(duration) => Some(duration),
            };
            let name = type_name_format(kernel, TypeNameFormatLevel::Balanced);
            let entry = found.entry(name).or_default();
            entry.0 += duration.map_or(0.0, |duration| duration.as_secs_f64());
            entry.1 += 1;
        }
        let of = |(kernel, (seconds, launches))| KernelTime { kernel, seconds, launches };
        let mut times: Vec<KernelTime> = found.into_iter().map(of).collect();
        times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        (done, times)
    }
}
