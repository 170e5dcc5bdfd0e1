//! The devices that this build knows.

use burn::tensor::Device;

use crate::{BertOps, Reference};

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
}

impl DeviceError {
    /// Advice, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => None,
            Self::NotBuilt { device } => Some(format!("build it with `--features {device}`")),
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
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => &crate::FusedCpu,
            _ => &Reference,
        }
    }

    /// Opens the device, without autodiff.
    ///
    /// # Errors
    /// When this build does not have it.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(not(feature = "flex"))]
            Self::Cpu => Err(DeviceError::NotBuilt { device: "flex" }),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Ok(Device::cuda(index)),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => Err(DeviceError::NotBuilt { device: "cuda" }),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::default())),
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => Err(DeviceError::NotBuilt { device: "wgpu" }),
        }
    }
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
