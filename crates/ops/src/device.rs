//! The devices that this build knows.

mod probe;

use burn::tensor::Device;

#[cfg(feature = "gpu")]
use crate::FusedCube;
use crate::{Attention, BertOps};

/// A device by name: `cpu`, `cuda`, `cuda:1`, `wgpu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceKind {
    /// The processor, through burn's Flex backend.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by index.
    Cuda(usize),
    /// The default GPU of wgpu.
    Wgpu,
}

/// The type that activations and the factors of products are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16, with f32 parameters, sums, statistics and losses.
    Bf16,
}

/// A device that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not a device's name.
    #[error("found the device `{found}`, expected `cpu`, `cuda`, `cuda:N` or `wgpu`")]
    Unknown {
        /// What was asked for.
        found: String,
    },
    /// The device is not in this build.
    #[error("this build of `bimed` has no `{device}` device")]
    NotBuilt {
        /// The device's feature.
        device: &'static str,
    },
    /// The driver, a library or the card is not there, or refuses.
    #[error("the device `{device}` cannot be opened: {reason}")]
    Unavailable {
        /// The device.
        device: String,
        /// What the driver's side said.
        reason: String,
    },
}

impl DeviceError {
    /// Advice, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => None,
            Self::NotBuilt { device } => Some(format!("build it with `--features {device}`")),
            Self::Unavailable { .. } => Some(
                "`bimed doctor` names what is missing and where it is looked for; \
                 `--device cpu` needs nothing"
                    .into(),
            ),
        }
    }
}

impl std::str::FromStr for DeviceKind {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { found: name.into() };
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            None if name == "wgpu" => Ok(Self::Wgpu),
            Some(("cuda", index)) => index.parse().map(Self::Cuda).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
            Self::Wgpu => formatter.write_str("wgpu"),
        }
    }
}

impl DeviceKind {
    /// Every device compiled into this build.
    pub fn built() -> Vec<&'static str> {
        let mut names = Vec::new();
        if cfg!(feature = "flex") {
            names.push("cpu");
        }
        if cfg!(feature = "cuda") {
            names.push("cuda");
        }
        if cfg!(feature = "wgpu") {
            names.push("wgpu");
        }
        names
    }

    /// The operations that suit the device best in this build.
    pub fn ops(self) -> &'static dyn BertOps {
        self.f32_ops(Attention::default())
    }

    fn f32_ops(self, attention: Attention) -> &'static dyn BertOps {
        let _ = attention;
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => &crate::FusedCpu,
            #[cfg(feature = "gpu")]
            Self::Cuda(_) | Self::Wgpu => match attention {
                Attention::Flash => &const { FusedCube::new(Precision::F32, Attention::Flash) },
                Attention::Scores => &const { FusedCube::new(Precision::F32, Attention::Scores) },
            },
            #[cfg(not(all(feature = "flex", feature = "gpu")))]
            _ => &crate::Reference,
        }
    }

    /// [`Self::ops`] in `wanted`, or in f32 where `device` does not compute it in hardware; what it
    /// came to is [`BertOps::activations`].
    pub fn ops_in(self, device: &Device, wanted: Precision) -> &'static dyn BertOps {
        self.ops_by(device, wanted, Attention::default())
    }

    /// [`Self::ops_in`] with attention computed as asked, where the device has several ways.
    pub fn ops_by(
        self,
        device: &Device,
        wanted: Precision,
        attention: Attention,
    ) -> &'static dyn BertOps {
        #[cfg(feature = "gpu")]
        if self != Self::Cpu && wanted == Precision::Bf16 && probe::has_bf16(device) {
            return match attention {
                Attention::Flash => &const { FusedCube::new(Precision::Bf16, Attention::Flash) },
                Attention::Scores => &const { FusedCube::new(Precision::Bf16, Attention::Scores) },
            };
        }
        let _ = (device, wanted);
        self.f32_ops(attention)
    }

    /// What `device` is: its name, what its kernels are compiled for, and whether it has bf16 units.
    /// Nothing for the processor.
    pub fn describe(device: &Device) -> Option<String> {
        probe::describe(device)
    }

    /// Opens the device, without autodiff.
    ///
    /// CubeCL panics where a driver is missing; that is caught here, on the first use that a device
    /// is put to, and the process's panic hook is silent meanwhile.
    ///
    /// # Errors
    /// When this build does not have it, and when it cannot be used.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(not(feature = "flex"))]
            Self::Cpu => Err(DeviceError::NotBuilt { device: "flex" }),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => probe::open(self, move || Device::cuda(index)),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => Err(DeviceError::NotBuilt { device: "cuda" }),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => probe::open(self, || Device::wgpu(burn::tensor::DeviceKind::default())),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => Err(DeviceError::NotBuilt { device: "wgpu" }),
        }
    }
}

/// Whether `device` is one of CubeCL's, and so computes by the kernels of `cube`.
pub(crate) fn is_cubecl(device: &Device) -> bool {
    cfg!(feature = "gpu") && DeviceKind::describe(&device.clone().inner()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for name in ["cpu", "cuda:3", "wgpu"] {
            assert_eq!(name.parse::<DeviceKind>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse(), Ok(DeviceKind::Cuda(0)));
        assert!("cuda:x".parse::<DeviceKind>().is_err());
        assert!("tpu".parse::<DeviceKind>().is_err());
    }
}
