//! The micro-batch that a device has memory for.
//!
//! Found by trying: what a step takes depends on the operations, on what the driver keeps for itself
//! and on what else is on the device, and no formula knows these.

use bimed_artifact::Context;
use bimed_ops::{BertOps, DeviceFault, out_of_memory_is_an_error};
use burn::tensor::Device;

use crate::pretrain::Inputs;
use crate::{Error, PretrainConfig, PretrainRun, Result};

/// Steps of a trial: the first claims the moments, the second computes beside them.
const STEPS: u64 = 2;

/// The largest micro-batch below the run's with which two steps can be taken, each tried from the
/// run's last checkpoint; `None` where not even one sample's can. Nothing is saved.
///
/// # Errors
/// When a trial fails for another reason than memory, and when asked to stop.
pub(crate) fn largest_that_fits(
    run: &PretrainRun<'_>,
    ops: &dyn BertOps,
    device: &Device,
    context: &Context<'_>,
) -> Result<Option<usize>> {
    for tokens in smaller(run.config) {
        context.cancel.check()?;
        context.progress.note(&format!("no memory left: trying micro_batch_tokens = {tokens}"));
        device.memory_cleanup();
        let config = PretrainConfig { micro_batch_tokens: tokens, ..run.config.clone() };
        let attempt = || rehearse(run, &config, ops, device, context);
        match out_of_memory_is_an_error(attempt).map_err(Error::from).flatten() {
            Ok(()) => return Ok(Some(tokens)),
            Err(Error::Device(DeviceFault::OutOfMemory { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Half the micro-batch, a quarter, and so on, each the next that divides it into whole samples.
fn smaller(config: &PretrainConfig) -> impl Iterator<Item = usize> {
    let (bins, length) = (config.bins_per_micro_batch(), config.sequence_length);
    let below = move |&most: &usize| (1..=most / 2).rev().find(|part| bins.is_multiple_of(*part));
    std::iter::successors(below(&bins), below).map(move |bins| bins * length)
}

fn rehearse(
    run: &PretrainRun<'_>,
    config: &PretrainConfig,
    ops: &dyn BertOps,
    device: &Device,
    context: &Context<'_>,
) -> Result<()> {
    let (inputs, base) = Inputs::read(run)?;
    let loader = inputs.loader(config, run.seed);
    let (mut trainer, _) = inputs.trainer(run, base, config, STEPS, ops, device, context)?;
    trainer.rehearse(loader, STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_smaller_micro_batch_divides_the_one_before() {
        let of = |micro_batch_tokens| {
            let config = PretrainConfig {
                sequence_length: 64,
                micro_batch_tokens,
                ..PretrainConfig::default()
            };
            smaller(&config).map(|tokens| tokens / 64).collect::<Vec<_>>()
        };
        assert_eq!(of(8 * 64), [4, 2, 1]);
        assert_eq!(of(15 * 64), [5, 1]);
        assert_eq!(of(64), [0usize; 0]);
    }
}
